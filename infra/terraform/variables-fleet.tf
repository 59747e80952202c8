# The instances: sizes, number and cost limits.

variable "gpu_vm_size" {
  description = "VM size of the NC series, which has NVIDIA GPUs with the standard CUDA driver."
  type        = string
  default     = "Standard_NC4as_T4_v3"

  validation {
    condition     = can(regex("^Standard_NC[0-9]+", var.gpu_vm_size))
    error_message = "Expected an NC size, such as Standard_NC4as_T4_v3. The A10 sizes of the NV series need a different driver from the one in the image."
  }
  validation {
    condition     = !can(regex(local.retired_everywhere, var.gpu_vm_size))
    error_message = "${var.gpu_vm_size} is retired in all regions. ${local.successors}"
  }
  validation {
    condition = (
      !can(regex(local.retired_v3, var.gpu_vm_size))
      || contains(local.regions_with_v3, var.location) && timecmp(plantimestamp(), local.v3_ends_at) < 0
    )
    error_message = "${var.gpu_vm_size} was retired on 2025-09-30 and is not available in ${var.location}. Only ${join(" and ", local.regions_with_v3)} offer it, until 2027-06-30. ${local.successors}"
  }
}

variable "fallback_gpu_vm_sizes" {
  description = "Sizes with the same number of GPUs, tried in this order when Azure has no capacity for gpu_vm_size."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.fallback_gpu_vm_sizes) <= 3
    error_message = "Expected at most three sizes."
  }
  validation {
    condition = alltrue([
      for size in var.fallback_gpu_vm_sizes :
      can(regex("^Standard_NC[0-9]+", size))
      && !can(regex(local.retired_everywhere, size))
      && (!can(regex(local.retired_v3, size)) || contains(local.regions_with_v3, var.location))
    ])
    error_message = "Expected NC sizes that are available in ${var.location}. ${local.successors}"
  }
  validation {
    condition = alltrue([
      for size in var.fallback_gpu_vm_sizes :
      lookup(local.gpus_of_size, size, 1) == lookup(local.gpus_of_size, var.gpu_vm_size, 1)
    ])
    error_message = "Expected sizes with the same number of GPUs as ${var.gpu_vm_size}, because the scaler treats all instances alike."
  }
  validation {
    condition     = length(distinct(concat([var.gpu_vm_size], var.fallback_gpu_vm_sizes))) == 1 + length(var.fallback_gpu_vm_sizes)
    error_message = "Expected each size only once."
  }
}

variable "kinds" {
  description = "Purchase options in the order in which they are tried. Spot VMs cost a fraction, and Azure can evict them with 30 seconds' notice. A scale set without instances costs nothing."
  type        = list(string)
  default     = ["spot", "on-demand"]

  validation {
    condition = (
      length(var.kinds) > 0 && length(distinct(var.kinds)) == length(var.kinds)
      && alltrue([for kind in var.kinds : contains(["spot", "on-demand"], kind)])
    )
    error_message = "Expected spot, on-demand, or both."
  }
}

variable "zones" {
  description = "Availability zones for the instances. If empty, Azure chooses."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for zone in var.zones : contains(["1", "2", "3"], zone)])
    error_message = "Expected zones among 1, 2 and 3."
  }
}

variable "worker_image_id" {
  description = "Machine image with the driver, the container runtime and the worker's container image, which boots in about a third of the time. Default: worker_machine_image."
  type        = string
  default     = null

  validation {
    condition     = var.worker_image_id == null || can(regex("^/subscriptions/.+/(images|versions)/[^/]+$", var.worker_image_id))
    error_message = "Expected the resource ID of an image or of an image version in a gallery."
  }
}

variable "worker_machine_image" {
  description = "Azure's image for GPU instances: Ubuntu with the NVIDIA driver, Docker and the NVIDIA container toolkit. Must be a Generation 2 image, which newer GPU sizes require."
  type = object({
    publisher = string
    offer     = string
    sku       = string
    version   = string
  })
  default = {
    publisher = "microsoft-dsvm"
    offer     = "ubuntu-hpc"
    sku       = "2204"
    version   = "latest"
  }
}

variable "ephemeral_os_disk" {
  description = "Put the OS disk on the local disk of the instance, which starts faster and has no extra cost. Set it to false for an image that is larger than the local disk."
  type        = bool
  default     = true
}

variable "capacity_max" {
  description = "Maximum number of instances."
  type        = number
  default     = 10

  validation {
    condition     = var.capacity_max >= 1 && var.capacity_max <= 1000 && floor(var.capacity_max) == var.capacity_max
    error_message = "Expected a whole number from 1 to 1000, the maximum of a scale set."
  }
}

variable "capacity_min" {
  description = "Minimum number of instances, kept even without work. Idle instances cost as much as busy ones."
  type        = number
  default     = 0

  validation {
    condition     = var.capacity_min >= 0 && var.capacity_min <= var.capacity_max
    error_message = "Expected a number from 0 to capacity_max."
  }
}

variable "schedule" {
  description = "Windows of time with a higher minimum number of instances, kept even without work: a cron expression for the start, a duration, a time zone and the minimum. [\"0 8 * * 1-5 for 10h in Europe/Berlin at least 2\"]"
  type        = list(string)
  default     = []

  # The scaler checks the rest: which times a cron expression matches, and which time zones there are.
  validation {
    condition = alltrue([
      for window in var.schedule :
      can(regex("^([0-9A-Za-z*,/-]+ ){5}for [1-9][0-9]{0,5}[smhd] in [A-Za-z][A-Za-z0-9_+/-]* at least [1-9][0-9]{0,3}$", window))
    ])
    error_message = "Expected windows such as \"0 8 * * 1-5 for 10h in Europe/Berlin at least 2\": five cron fields, a duration, a time zone and a number of instances."
  }
  validation {
    condition = alltrue([
      for window in var.schedule :
      try(tonumber(regex("at least ([0-9]+)$", window)[0]) <= var.capacity_max, true)
    ])
    error_message = "Expected no window to ask for more instances than capacity_max."
  }
  validation {
    condition     = length(var.schedule) <= 50
    error_message = "Expected at most 50 windows."
  }
}

variable "on_demand_base" {
  description = "Number of instances that are on demand even if spot is available, so that evictions never stop all work."
  type        = number
  default     = 0

  validation {
    condition     = var.on_demand_base >= 0 && (var.on_demand_base == 0 || contains(var.kinds, "on-demand"))
    error_message = "Expected 0 or more. A value above 0 requires on-demand in kinds."
  }
}

variable "spending_per_hour_max" {
  description = "Maximum cost of the instances per hour in US dollars. If null, only capacity_max limits the cost."
  type        = number
  default     = 6

  validation {
    condition     = var.spending_per_hour_max == null ? true : var.spending_per_hour_max > 0
    error_message = "Expected an amount greater than 0, or null."
  }
}

variable "prices" {
  description = "Prices in US dollars per instance and hour that override those in sizes.tf: { Standard_NC4as_T4_v3 = { on-demand = 0.53, spot = 0.07 } }."
  type        = map(map(number))
  default     = {}

  validation {
    condition = alltrue(flatten([
      for size, prices in var.prices : [for kind, price in prices : contains(["spot", "on-demand"], kind) && price >= 0]
    ]))
    error_message = "Expected prices of 0 or more for spot and on-demand."
  }
}

variable "scaler_endpoint_public" {
  description = "Let operator_addresses reach the scaler over TLS with its token. If false, the scaler has no public address; use `az containerapp exec`. A change recreates the environment of the apps."
  type        = bool
  default     = false
}

variable "nat_gateway" {
  description = "Create a NAT gateway, through which instances download their container image. Can be false only with a machine image that includes it. Storage does not need the gateway."
  type        = bool
  default     = true

  validation {
    condition     = var.nat_gateway || var.worker_image_id != null
    error_message = "With nat_gateway = false, worker_image_id is required: the machine image must include the container image."
  }
}
