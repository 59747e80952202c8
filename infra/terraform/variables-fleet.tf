# The machines: which, how many, and how much they may cost.

variable "gpu_vm_size" {
  description = "An NC size: NVIDIA GPUs with the plain CUDA driver."
  type        = string
  default     = "Standard_NC4as_T4_v3"

  validation {
    condition     = can(regex("^Standard_NC[0-9]+", var.gpu_vm_size))
    error_message = "Expected an NC size, such as Standard_NC4as_T4_v3. The A10 machines of the NV series need another driver than the image has."
  }
  validation {
    condition     = !can(regex(local.retired_everywhere, var.gpu_vm_size))
    error_message = "${var.gpu_vm_size} has been retired everywhere. ${local.successors}"
  }
  validation {
    condition = (
      !can(regex(local.retired_v3, var.gpu_vm_size))
      || contains(local.regions_with_v3, var.location) && timecmp(plantimestamp(), local.v3_ends_at) < 0
    )
    error_message = "${var.gpu_vm_size} was retired on 2025-09-30 and cannot be had in ${var.location}: until 2027-06-30 in ${join(" and ", local.regions_with_v3)} only. ${local.successors}"
  }
}

variable "fallback_gpu_vm_sizes" {
  description = "Sizes with as many GPUs, tried in this order when the first has no capacity."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.fallback_gpu_vm_sizes) <= 3
    error_message = "Expected three sizes at most."
  }
  validation {
    condition = alltrue([
      for size in var.fallback_gpu_vm_sizes :
      can(regex("^Standard_NC[0-9]+", size))
      && !can(regex(local.retired_everywhere, size))
      && (!can(regex(local.retired_v3, size)) || contains(local.regions_with_v3, var.location))
    ])
    error_message = "Expected NC sizes that can be had in ${var.location}. ${local.successors}"
  }
  validation {
    condition = alltrue([
      for size in var.fallback_gpu_vm_sizes :
      lookup(local.gpus_of_size, size, 1) == lookup(local.gpus_of_size, var.gpu_vm_size, 1)
    ])
    error_message = "Expected sizes with as many GPUs as ${var.gpu_vm_size}: the scaler counts all machines alike."
  }
  validation {
    condition     = length(distinct(concat([var.gpu_vm_size], var.fallback_gpu_vm_sizes))) == 1 + length(var.fallback_gpu_vm_sizes)
    error_message = "Expected each size once."
  }
}

variable "kinds" {
  description = "Of machines, in the order in which they are tried: spot costs a fraction and may be taken away with half a minute's notice. A kind that is not used costs nothing."
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
  description = "Availability zones for the machines; none: wherever there is room."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for zone in var.zones : contains(["1", "2", "3"], zone)])
    error_message = "Expected zones 1, 2 and 3."
  }
}

variable "worker_image_id" {
  description = "A machine image with driver, container runtime and our image in it: it boots in a third of the time. None: Azure's image for GPU work, which has the first two."
  type        = string
  default     = null

  validation {
    condition     = var.worker_image_id == null || can(regex("^/subscriptions/.+/(images|versions)/[^/]+$", var.worker_image_id))
    error_message = "Expected the resource id of an image, or of an image version in a gallery."
  }
}

variable "worker_machine_image" {
  description = "Azure's image for GPU work: Ubuntu with NVIDIA's driver, Docker and the container toolkit. Second generation: the newer GPUs take nothing else."
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
  description = "The system lies on the machine's own disk: it starts sooner and costs nothing more. Off for an image that is larger than that disk."
  type        = bool
  default     = true
}

variable "capacity_max" {
  description = "Never more machines than this."
  type        = number
  default     = 10

  validation {
    condition     = var.capacity_max >= 1 && var.capacity_max <= 1000 && floor(var.capacity_max) == var.capacity_max
    error_message = "Expected a whole number from 1 to 1000: a scale set has no more."
  }
}

variable "capacity_min" {
  description = "Machines that are kept with nothing to do. They cost as much as those at work."
  type        = number
  default     = 0

  validation {
    condition     = var.capacity_min >= 0 && var.capacity_min <= var.capacity_max
    error_message = "Expected a number from 0 to capacity_max."
  }
}

variable "on_demand_base" {
  description = "Of the machines wanted, so many are on demand: an eviction wave leaves them."
  type        = number
  default     = 0

  validation {
    condition     = var.on_demand_base >= 0 && (var.on_demand_base == 0 || contains(var.kinds, "on-demand"))
    error_message = "Expected 0 or more; and on-demand among the kinds, where it is more."
  }
}

variable "spending_per_hour_max" {
  description = "Never more money an hour than this for machines, in US dollars; none: capacity_max is the only bound."
  type        = number
  default     = 6

  validation {
    condition     = var.spending_per_hour_max == null ? true : var.spending_per_hour_max > 0
    error_message = "Expected an amount of money, or null."
  }
}

variable "prices" {
  description = "US dollars an hour for one machine, where they are not those of sizes.tf: { Standard_NC4as_T4_v3 = { on-demand = 0.53, spot = 0.07 } }."
  type        = map(map(number))
  default     = {}

  validation {
    condition = alltrue(flatten([
      for size, prices in var.prices : [for kind, price in prices : contains(["spot", "on-demand"], kind) && price >= 0]
    ]))
    error_message = "Expected prices for spot and on-demand, of 0 or more."
  }
}

variable "scaler_endpoint_public" {
  description = "Let operator_addresses reach the scaler, by TLS and with its token. Off: it has no public address, and `az containerapp exec` is the way in. A change makes the environment anew."
  type        = bool
  default     = false
}

variable "nat_gateway" {
  description = "The workers' way out, by which they fetch their image. Off only with an image that has everything in it: storage is reached without."
  type        = bool
  default     = true

  validation {
    condition     = var.nat_gateway || var.worker_image_id != null
    error_message = "Without a way out, machines need everything in their image: worker_image_id."
  }
}
