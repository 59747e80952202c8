# All features and all settings, so that every variable of the programs is set.
subscription_id    = "11111111-2222-3333-4444-555555555555"
operator_addresses = ["203.0.113.7", "198.51.100.16/28"]
ssh_public_key     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8qV0rYk4p1m2cQ5s6t7u8v9w0xyzABCDEFGHIJKLMN nobody"

name     = "studio7"
location = "westus3"
tags     = { team = "restoration" }

operators          = ["aaaaaaaa-0000-0000-0000-000000000001", "aaaaaaaa-0000-0000-0000-000000000002"]
uploaders          = ["bbbbbbbb-0000-0000-0000-000000000001"]
uploader_addresses = ["192.0.2.44"]
share_days_max     = 2

build_images         = false
image_tag            = "1.4.0"
storage_replication  = "ZRS"
keep_frames_days_max = 20
keep_logs_days       = 400
keep_sources_days    = 60
alert_emails         = ["operators@example.org", "money@example.org"]
budget_per_month     = 900

gpu_vm_size            = "Standard_NC24ads_A100_v4"
fallback_gpu_vm_sizes  = ["Standard_NC40ads_H100_v5", "Standard_NC16as_T4_v3"]
zones                  = ["1", "2"]
capacity_max           = 40
capacity_min           = 1
schedule               = ["0 8 * * 1-5 for 10h in Europe/Berlin at least 3", "30 22 * * SUN for 90m in America/New_York at least 2"]
on_demand_base         = 2
spending_per_hour_max  = 60
prices                 = { Standard_NC24ads_A100_v4 = { spot = 0.9 } }
scaler_endpoint_public = true
page_enabled           = true
page_client_id         = "cccccccc-0000-0000-0000-000000000001"
managed_redis          = true

log_level     = "debug"
lease_seconds = 90
producers_max = 5
producer_size = { cpu = 4, memory = 8 }
producer_settings = {
  intake_scan_seconds        = 20
  resend_seconds             = 240
  keep_frames_seconds        = 3600
  keep_failed_frames_seconds = 86400
  duration_seconds_max       = 7200
  frames_max                 = 432000
  step_seconds_max           = 86400
  work_bytes_max             = 6000000000
  pixels_max                 = 8294400
}
worker_settings = {
  execution_providers    = ["tensorrt", "cuda"]
  idle_poll_seconds_max  = 20
  heartbeat_seconds      = 4
  precision              = "auto"
  inference_threads      = 4
  micro_batch_frames_max = "auto"
  stuck_seconds          = 90
  model_load_seconds_max = 1200
}
scaler_settings = {
  tick_seconds            = 10
  leader_seconds          = 20
  drain_target_seconds    = 600
  idle_seconds            = 200
  boot_timeout_seconds    = 700
  heartbeat_stale_seconds = 50
}
