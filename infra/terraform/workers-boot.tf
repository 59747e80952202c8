# The boot configuration of an instance: one systemd unit per GPU, which downloads the container image and runs the worker. The instance
# from which an image is baked only downloads it: see bake/.

locals {
  # Every variable that worker/config.ts reads, except those that an instance sets itself: its id, its name, its GPU. Null keeps the
  # default of the program.
  worker_env = {
    FRAMEFLEET_MEDIA_STORAGE          = azurerm_storage_account.media.name
    FRAMEFLEET_SYSTEM_STORAGE         = azurerm_storage_account.system.name
    FRAMEFLEET_SCHEDULED_EVENTS_URL   = "http://169.254.169.254/metadata/scheduledevents?api-version=2020-07-01"
    FRAMEFLEET_EXECUTION_PROVIDERS    = join(",", var.worker_settings.execution_providers)
    FRAMEFLEET_MODEL_CACHE            = "/models"
    FRAMEFLEET_LEASE_SECONDS          = var.lease_seconds
    FRAMEFLEET_LOG_LEVEL              = var.log_level
    FRAMEFLEET_HTTP_HOST              = "127.0.0.1"
    FRAMEFLEET_IDLE_POLL_SECONDS_MAX  = var.worker_settings.idle_poll_seconds_max
    FRAMEFLEET_HEARTBEAT_SECONDS      = var.worker_settings.heartbeat_seconds
    FRAMEFLEET_PRECISION              = var.worker_settings.precision
    FRAMEFLEET_INFERENCE_THREADS      = var.worker_settings.inference_threads
    FRAMEFLEET_MICRO_BATCH_FRAMES_MAX = var.worker_settings.micro_batch_frames_max
    FRAMEFLEET_STUCK_SECONDS          = var.worker_settings.stuck_seconds
    FRAMEFLEET_MODEL_LOAD_SECONDS_MAX = var.worker_settings.model_load_seconds_max
    AZURE_CLIENT_ID                   = azurerm_user_assigned_identity.room["worker"].client_id
  }

  ask_azure = file("${path.module}/templates/ask-azure.sh")

  image_file = {
    path        = "/usr/local/bin/framefleet-image"
    permissions = "0755"
    content = templatefile("${path.module}/templates/framefleet-image.sh.tftpl", {
      image     = local.images["worker"]
      registry  = azurerm_container_registry.fleet.login_server
      client_id = azurerm_user_assigned_identity.room["worker"].client_id
      ask_azure = local.ask_azure
    })
  }

  worker_files = [
    local.image_file,
    {
      path        = "/etc/framefleet/worker.env"
      permissions = "0644"
      content     = join("", [for name, value in local.worker_env : "${name}=${value}\n" if value != null])
    },
    {
      path        = "/usr/local/bin/framefleet-worker"
      permissions = "0755"
      content = templatefile("${path.module}/templates/framefleet-worker.sh.tftpl", {
        image     = local.images["worker"]
        ask_azure = local.ask_azure
      })
    },
    {
      path        = "/etc/systemd/system/framefleet-worker@.service"
      permissions = "0644"
      content     = file("${path.module}/templates/framefleet-worker@.service")
    },
  ]

  worker_boot = {
    write_files = local.worker_files
    runcmd = [
      ["install", "-d", "-m", "1777", "/var/lib/framefleet/models"],
      ["systemctl", "daemon-reload"],
      # Downloading takes minutes. --no-block: the boot does not wait for it.
      concat(["systemctl", "enable", "--now", "--no-block"], [for gpu in range(local.gpus_per_machine) : "framefleet-worker@${gpu}.service"]),
    ]
  }

  worker_cloud_init = "#cloud-config\n${yamlencode(local.worker_boot)}"
}
