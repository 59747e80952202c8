# What must be said (the first three), and what may be: names, doors, images, storage, money. The fleet's own knobs are in
# variables-fleet.tf, those of the programs in variables-programs.tf.

variable "subscription_id" {
  description = "The Azure subscription: `az account show --query id --output tsv`."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", var.subscription_id))
    error_message = "Expected the id of a subscription, such as 11111111-2222-3333-4444-555555555555."
  }
}

variable "operator_addresses" {
  description = "Public IPv4 addresses, or ranges up to /30, that may reach storage, the key vault and, where it is open, the scaler: `curl -s https://api.ipify.org`. Whoever applies this must be among them."
  type        = list(string)

  validation {
    condition     = length(var.operator_addresses) > 0
    error_message = "Expected one address at least: without it nobody could upload a video, nor put the scaler's token into the key vault."
  }
  validation {
    condition = alltrue([
      for address in var.operator_addresses : can(cidrhost(strcontains(address, "/") ? address : "${address}/32", 0))
    ])
    error_message = "Expected IPv4 addresses or ranges, such as 203.0.113.7 or 203.0.113.0/28."
  }
  validation {
    condition     = !anytrue([for address in var.operator_addresses : can(regex("/(3[12]|[0-7])$", address))])
    error_message = "Azure Storage takes a single address without /32, and no range of two; and a range wider than /8 is not a door but a hole."
  }
  validation {
    condition = !anytrue([
      for address in var.operator_addresses : can(regex("^(10|127|192\\.168|172\\.(1[6-9]|2[0-9]|3[01]))\\.", address))
    ])
    error_message = "Azure sees the address that your network has on the internet, not the private one of your machine."
  }
}

variable "ssh_public_key" {
  description = "An RSA or Ed25519 public key for the machines. Azure wants one; no machine can be reached from outside the network all the same."
  type        = string

  validation {
    condition     = can(regex("^(ssh-rsa|ssh-ed25519) [A-Za-z0-9+/=]{60,}", var.ssh_public_key))
    error_message = "Expected a public key in OpenSSH's format, such as the contents of ~/.ssh/id_ed25519.pub."
  }
}

variable "name" {
  description = "Of the resource group, and the beginning of names that the whole world shares."
  type        = string
  default     = "framefleet"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{2,11}$", var.name))
    error_message = "Expected 3 to 12 lower case letters and digits, a letter first: storage accounts take nothing else."
  }
}

variable "location" {
  description = "The Azure region, as `az account list-locations` names it. It must have the GPU size and quota for it."
  type        = string
  default     = "eastus"

  validation {
    condition     = can(regex("^[a-z]+[a-z0-9]*$", var.location))
    error_message = "Expected a region's short name, such as westeurope."
  }
}

variable "tags" {
  description = "Further tags for everything that takes tags."
  type        = map(string)
  default     = {}
}

variable "operators" {
  description = "Object ids of the people or groups who run the fleet; none: whoever applies this."
  type        = list(string)
  default     = []
}

variable "uploaders" {
  description = "Object ids of people, groups or applications outside the team: they may put videos into `incoming` and fetch `results`."
  type        = list(string)
  default     = []
}

variable "uploader_addresses" {
  description = "Public addresses, of outsiders and of partners, that may reach the media account and nothing else."
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for address in var.uploader_addresses :
      can(cidrhost(strcontains(address, "/") ? address : "${address}/32", 0)) && !can(regex("/(3[12]|[0-7])$", address))
    ])
    error_message = "Expected IPv4 addresses or ranges up to /30, such as 203.0.113.7 or 203.0.113.0/28."
  }
}

variable "share_days_max" {
  description = "The address that `npm run share` makes for a partner works for so many days at most; Azure allows seven."
  type        = number
  default     = 7

  validation {
    condition     = contains([1, 2, 3, 4, 5, 6, 7], var.share_days_max)
    error_message = "Expected 1 to 7 whole days."
  }
}

variable "build_images" {
  description = "Build the programs' images in the registry, with `az acr build`, whenever their sources change. Off: somebody else has pushed them under `image_tag`."
  type        = bool
  default     = true
}

variable "image_tag" {
  description = "Tag of the images; none: made of the sources, so that a change of them is a new tag."
  type        = string
  default     = null

  validation {
    condition     = var.image_tag == null || can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.image_tag))
    error_message = "Expected an image tag, such as 1.4.0."
  }
  validation {
    condition     = var.image_tag != "latest"
    error_message = "`latest` is a different image every day: a machine that starts tomorrow would not be the one that was tested."
  }
  validation {
    condition     = var.build_images || var.image_tag != null
    error_message = "With build_images = false, say which images there are: image_tag."
  }
}

variable "redis_image" {
  description = "The ledger's Redis: 6.2 or later. By digest it cannot change under you."
  type        = string
  default     = "docker.io/library/redis:7.4.2-bookworm"
}

variable "managed_redis" {
  description = "Azure Managed Redis in place of a container: the ledger then survives a host. Not needed: a lost ledger is built again from storage."
  type        = bool
  default     = false
}

variable "managed_redis_size" {
  description = "Of Azure Managed Redis, where there is one."
  type        = string
  default     = "Balanced_B0"

  validation {
    condition     = can(regex("^(Balanced_B|MemoryOptimized_M|ComputeOptimized_X)[0-9]+$", var.managed_redis_size))
    error_message = "Expected a size of Azure Managed Redis, such as Balanced_B0."
  }
}

variable "storage_replication" {
  description = "Of both storage accounts. Everything but sources and results can be made again: one data centre will do."
  type        = string
  default     = "LRS"

  validation {
    condition     = contains(["LRS", "ZRS", "GRS", "GZRS"], var.storage_replication)
    error_message = "Expected LRS, ZRS, GRS or GZRS."
  }
}

variable "keep_frames_days_max" {
  description = "Frames are removed by the producer, soon after their job; what it has forgotten goes after so many days."
  type        = number
  default     = 30

  validation {
    condition     = var.keep_frames_days_max > 7
    error_message = "Expected more than 7: for so long the producer keeps the frames of a job with failures, to be tried again."
  }
}

variable "keep_logs_days" {
  description = "The logs of frames, in storage, are removed after so many days."
  type        = number
  default     = 90

  validation {
    condition     = var.keep_logs_days >= 1
    error_message = "Expected a day at least."
  }
}

variable "keep_sources_days" {
  description = "Sources and results are removed after so many days; none: never."
  type        = number
  default     = null

  validation {
    condition     = var.keep_sources_days == null ? true : var.keep_sources_days >= 1
    error_message = "Expected a day at least, or null."
  }
}

variable "alert_emails" {
  description = "Who hears of trouble. None: there are no alerts, no storage logs, and no budget."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "Expected mail addresses."
  }
}

variable "budget_per_month" {
  description = "A mail is sent when four fifths of this have been spent in a month, when all of it has, and when it looks as if it will: in the currency of the bill. It stops nothing: spending_per_hour_max does."
  type        = number
  default     = 250

  validation {
    condition     = var.budget_per_month > 0
    error_message = "Expected an amount of money."
  }
}
