# The required variables (the first three) and the general ones: names, access, images, storage, costs. The fleet's variables are in
# variables-fleet.tf, those of the programs in variables-programs.tf.

variable "subscription_id" {
  description = "ID of the Azure subscription. To print yours: `az account show --query id --output tsv`."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", var.subscription_id))
    error_message = "Expected a subscription ID, such as 11111111-2222-3333-4444-555555555555."
  }
}

variable "operator_addresses" {
  description = "Public IPv4 addresses, or ranges from /8 to /30, that can reach storage, the key vault and the public endpoint of the scaler, if enabled. Include the address of the machine that runs Terraform: `curl -s https://api.ipify.org`."
  type        = list(string)

  validation {
    condition     = length(var.operator_addresses) > 0
    error_message = "Expected at least one address. Without it, uploading videos and writing the scaler's token to the key vault fail."
  }
  validation {
    condition = alltrue([
      for address in var.operator_addresses : can(cidrhost(strcontains(address, "/") ? address : "${address}/32", 0))
    ])
    error_message = "Expected IPv4 addresses or ranges, such as 203.0.113.7 or 203.0.113.0/28."
  }
  validation {
    condition     = !anytrue([for address in var.operator_addresses : can(regex("/(3[12]|[0-7])$", address))])
    error_message = "Azure Storage rejects /31 and /32: write a single address without /32. A range larger than /8 is not allowed, because it opens access to too many addresses."
  }
  validation {
    condition = !anytrue([
      for address in var.operator_addresses : can(regex("^(10|127|192\\.168|172\\.(1[6-9]|2[0-9]|3[01]))\\.", address))
    ])
    error_message = "Expected public addresses. Azure sees the public address of your network, not the private address of your machine."
  }
}

variable "ssh_public_key" {
  description = "An RSA or Ed25519 public key for the instances. Azure requires one. The instances cannot be reached from outside the network."
  type        = string

  validation {
    condition     = can(regex("^(ssh-rsa|ssh-ed25519) [A-Za-z0-9+/=]{60,}", var.ssh_public_key))
    error_message = "Expected a public key in OpenSSH format, such as the contents of ~/.ssh/id_ed25519.pub."
  }
}

variable "name" {
  description = "Name of the resource group, and prefix of globally unique names."
  type        = string
  default     = "framefleet"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{2,11}$", var.name))
    error_message = "Expected 3 to 12 lowercase letters and digits, starting with a letter, because the name becomes part of the storage account names."
  }
}

variable "location" {
  description = "Azure region, as in `az account list-locations`. It must offer the GPU size, and you need quota there."
  type        = string
  default     = "eastus"

  validation {
    condition     = can(regex("^[a-z]+[a-z0-9]*$", var.location))
    error_message = "Expected the short name of a region, such as westeurope."
  }
}

variable "tags" {
  description = "Additional tags for all resources that support tags."
  type        = map(string)
  default     = {}
}

variable "operators" {
  description = "Object IDs of the users or groups who operate the fleet. Default: the identity that runs Terraform."
  type        = list(string)
  default     = []
}

variable "uploaders" {
  description = "Object IDs of external users, groups or applications that can upload videos to `incoming` and read `results`, and nothing else."
  type        = list(string)
  default     = []
}

variable "uploader_addresses" {
  description = "Public addresses of external users and partners. They can reach the media account and nothing else."
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for address in var.uploader_addresses :
      can(cidrhost(strcontains(address, "/") ? address : "${address}/32", 0)) && !can(regex("/(3[12]|[0-7])$", address))
    ])
    error_message = "Expected IPv4 addresses or ranges from /8 to /30, such as 203.0.113.7 or 203.0.113.0/28."
  }
}

variable "share_days_max" {
  description = "Maximum number of days that an upload URL of `npm run share` is valid. Azure allows at most seven."
  type        = number
  default     = 7

  validation {
    condition     = contains([1, 2, 3, 4, 5, 6, 7], var.share_days_max)
    error_message = "Expected a whole number of days from 1 to 7."
  }
}

variable "build_images" {
  description = "Build the container images in the registry with `az acr build` when their sources change. If false, push the images yourself with the tag `image_tag`."
  type        = bool
  default     = true
}

variable "image_tag" {
  description = "Tag of the container images. Default: a hash of the sources, so that each change creates a new tag."
  type        = string
  default     = null

  validation {
    condition     = var.image_tag == null || can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.image_tag))
    error_message = "Expected an image tag, such as 1.4.0."
  }
  validation {
    condition     = var.image_tag != "latest"
    error_message = "`latest` is not allowed, because new instances could start a different image from the one you tested. Expected a fixed tag."
  }
  validation {
    condition     = var.build_images || var.image_tag != null
    error_message = "With build_images = false, image_tag is required."
  }
}

variable "redis_image" {
  description = "Redis image for the ledger, version 6.2 or later. To pin it exactly, name a digest."
  type        = string
  default     = "docker.io/library/redis:7.4.2-bookworm"
}

variable "managed_redis" {
  description = "Use Azure Managed Redis instead of a container, so that the ledger survives the loss of a host. Optional, because a lost ledger is rebuilt from storage."
  type        = bool
  default     = false
}

variable "managed_redis_size" {
  description = "Size of Azure Managed Redis, if managed_redis is true."
  type        = string
  default     = "Balanced_B0"

  validation {
    condition     = can(regex("^(Balanced_B|MemoryOptimized_M|ComputeOptimized_X)[0-9]+$", var.managed_redis_size))
    error_message = "Expected a size of Azure Managed Redis, such as Balanced_B0."
  }
}

variable "storage_replication" {
  description = "Replication of both storage accounts. Everything except sources and results can be recreated, so one data center is enough for most uses."
  type        = string
  default     = "LRS"

  validation {
    condition     = contains(["LRS", "ZRS", "GRS", "GZRS"], var.storage_replication)
    error_message = "Expected LRS, ZRS, GRS or GZRS."
  }
}

variable "keep_frames_days_max" {
  description = "Storage deletes frames after this many days. The producer normally deletes them soon after their job ends."
  type        = number
  default     = 30

  validation {
    condition     = var.keep_frames_days_max > 7
    error_message = "Expected more than 7, because the producer keeps the frames of jobs with failures for 7 days so that they can be retried."
  }
}

variable "keep_logs_days" {
  description = "Storage deletes the logs of the frames after this many days."
  type        = number
  default     = 90

  validation {
    condition     = var.keep_logs_days >= 1
    error_message = "Expected at least 1 day."
  }
}

variable "keep_sources_days" {
  description = "Storage deletes sources and results after this many days. Default: never."
  type        = number
  default     = null

  validation {
    condition     = var.keep_sources_days == null ? true : var.keep_sources_days >= 1
    error_message = "Expected at least 1 day, or null."
  }
}

variable "alert_emails" {
  description = "Email addresses that receive alerts. If empty, there are no alerts, no storage logs and no budget."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "Expected email addresses."
  }
}

variable "budget_per_month" {
  description = "Monthly budget in the billing currency. An email is sent at 80% and 100% of it, and when the forecast exceeds it. It does not stop any instances; spending_per_hour_max does."
  type        = number
  default     = 250

  validation {
    condition     = var.budget_per_month > 0
    error_message = "Expected an amount greater than 0."
  }
}
