# The knobs of the programs, named as in their config.ts. What is null stays as the program has it; its README says what it means.

variable "log_level" {
  description = "Of all programs."
  type        = string
  default     = "info"

  validation {
    condition     = contains(["debug", "info", "warn", "error", "silent"], var.log_level)
    error_message = "Expected debug, info, warn, error or silent."
  }
}

variable "lease_seconds" {
  description = "A killed worker's batch is visible to others after this long. The scaler has to know it, too."
  type        = number
  default     = 60

  validation {
    condition     = var.lease_seconds >= 6 && var.lease_seconds <= 3600
    error_message = "Expected 6 to 3600 seconds."
  }
}

variable "producer_size" {
  description = "Of the producer, which runs ffmpeg: vCPUs and GiB. Its disk holds the source and the result of each job in progress: 2 GiB with half a vCPU, 4 with one, 8 with more; a source may have a third of it."
  type = object({
    cpu    = number
    memory = number
  })
  default = { cpu = 1, memory = 2 }

  validation {
    condition     = contains([0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4], var.producer_size.cpu) && var.producer_size.memory == 2 * var.producer_size.cpu
    error_message = "Expected 0.5 to 4 vCPUs in steps of a half, and twice as many GiB."
  }
}

variable "producer_settings" {
  description = "See producer/README.md."
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
    error_message = "Expected keep_failed_frames_seconds to be less than keep_frames_days_max: that rule would remove them first."
  }
}

variable "worker_settings" {
  description = "See worker/README.md. The CPU is used in place of a GPU only where it is named: a GPU that does nothing is dear."
  type = object({
    execution_providers    = optional(list(string), ["cuda"])
    idle_poll_seconds_max  = optional(number)
    heartbeat_seconds      = optional(number)
    inference_threads      = optional(number)
    frames_in_flight       = optional(number)
    stuck_seconds          = optional(number)
    model_load_seconds_max = optional(number)
    jpeg_quality           = optional(number)
  })
  default = {}

  validation {
    condition = length(var.worker_settings.execution_providers) > 0 && alltrue([
      for name in var.worker_settings.execution_providers : contains(["tensorrt", "cuda", "cpu"], name)
    ])
    error_message = "Expected tensorrt, cuda, cpu, or several of them in the order in which they are tried."
  }
}

variable "scaler_settings" {
  description = "See scaler/README.md. A machine that has to build its driver takes up to eleven minutes to boot."
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
