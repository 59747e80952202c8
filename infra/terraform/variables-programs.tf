# Settings of the programs, named as in their config.ts. A setting that is null keeps the default of the program; see docs/settings.md.

variable "log_level" {
  description = "Log level of all programs."
  type        = string
  default     = "info"

  validation {
    condition     = contains(["debug", "info", "warn", "error", "silent"], var.log_level)
    error_message = "Expected debug, info, warn, error or silent."
  }
}

variable "lease_seconds" {
  description = "Lease of a batch. If a worker is killed, another worker receives its batch after this time. The scaler uses it, too."
  type        = number
  default     = 60

  validation {
    condition     = var.lease_seconds >= 6 && var.lease_seconds <= 3600
    error_message = "Expected 6 to 3600 seconds."
  }
}

variable "producer_size" {
  description = "vCPUs and GiB of memory of a producer. Its disk holds the source and the pieces or the result of each running step: 2 GiB with 0.5 vCPU, 4 GiB with 1 vCPU, 8 GiB with more. A source can use two fifths of the disk. The vCPUs rarely limit a job, because the producer copies packets and decodes only sources that cannot be cut."
  type = object({
    cpu    = number
    memory = number
  })
  default = { cpu = 1, memory = 2 }

  validation {
    condition     = contains([0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4], var.producer_size.cpu) && var.producer_size.memory == 2 * var.producer_size.cpu
    error_message = "Expected 0.5 to 4 vCPUs in steps of 0.5, and twice as many GiB."
  }
}

variable "producers_max" {
  description = "Maximum number of producers. One always runs. Others start while several videos are split or joined at the same time, and stop afterwards."
  type        = number
  default     = 3

  validation {
    condition     = var.producers_max >= 1 && var.producers_max <= 10 && floor(var.producers_max) == var.producers_max
    error_message = "Expected a whole number of producers from 1 to 10."
  }
}

variable "producer_settings" {
  description = "Settings of the producer; see docs/settings.md."
  type = object({
    work_bytes_max             = optional(number)
    intake_scan_seconds        = optional(number)
    resend_seconds             = optional(number)
    keep_frames_seconds        = optional(number)
    keep_failed_frames_seconds = optional(number)
    duration_seconds_max       = optional(number)
    frames_max                 = optional(number)
    pixels_max                 = optional(number)
    step_seconds_max           = optional(number)
  })
  default = {}

  validation {
    condition     = coalesce(var.producer_settings.keep_failed_frames_seconds, 604800) < var.keep_frames_days_max * 86400
    error_message = "Expected keep_failed_frames_seconds to be less than keep_frames_days_max. Otherwise storage would delete the frames first."
  }
}

variable "worker_settings" {
  description = "Settings of the worker; see docs/settings.md. The worker falls back to the CPU only if execution_providers includes cpu, because an unused GPU is expensive."
  type = object({
    execution_providers    = optional(list(string), ["cuda"])
    idle_poll_seconds_max  = optional(number)
    heartbeat_seconds      = optional(number)
    precision              = optional(string)
    inference_threads      = optional(number)
    micro_batch_frames_max = optional(string)
    stuck_seconds          = optional(number)
    model_load_seconds_max = optional(number)
  })
  default = {}

  validation {
    condition = length(var.worker_settings.execution_providers) > 0 && alltrue([
      for name in var.worker_settings.execution_providers : contains(["tensorrt", "cuda", "cpu"], name)
    ])
    error_message = "Expected one or more of tensorrt, cuda and cpu, in the order in which they are tried."
  }

  validation {
    condition     = contains(["auto", "float32", "float16"], coalesce(var.worker_settings.precision, "auto"))
    error_message = "Expected auto, float32 or float16 as precision."
  }
}

variable "scaler_settings" {
  description = "Settings of the scaler; see docs/settings.md. The default of boot_timeout_seconds allows for an instance that builds its driver, which takes up to eleven minutes."
  type = object({
    tick_seconds            = optional(number)
    leader_seconds          = optional(number)
    drain_target_seconds    = optional(number)
    idle_seconds            = optional(number)
    boot_timeout_seconds    = optional(number, 900)
    heartbeat_stale_seconds = optional(number)
  })
  default = {}
}

variable "page_enabled" {
  description = "Serve the web page of the producer to operators at operator_addresses, who sign in with Entra: see README.md. The producer's metrics then have no address for a Prometheus in the environment. A change recreates the environment of the apps, unless scaler_endpoint_public is true."
  type        = bool
  default     = false
}

variable "page_client_id" {
  description = "Application ID of the app registration with which operators sign in to the page."
  type        = string
  default     = null

  validation {
    condition     = !var.page_enabled || can(regex("^[0-9a-f-]{36}$", var.page_client_id))
    error_message = "The page needs an app registration: see README.md."
  }
}
