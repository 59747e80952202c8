# The producer: one replica, and up to `producers_max` while steps run. Any number of producers work at once: steps are locked in Redis
# (see producer/jobs/steps.ts), and batches are claimed there. A replica that is stopped puts its steps back on the queue for the others,
# so neither an update nor a smaller number of replicas loses work.

locals {
  # Every variable that producer/config.ts reads. Null keeps the default of the program.
  producer_env = merge(local.app_env, local.page_env, {
    FRAMEFLEET_WORK_FOLDER                = "/work"
    FRAMEFLEET_WORK_BYTES_MAX             = coalesce(var.producer_settings.work_bytes_max, floor(local.producer_disk_bytes * 0.9))
    FRAMEFLEET_INTAKE_SCAN_SECONDS        = var.producer_settings.intake_scan_seconds
    FRAMEFLEET_RESEND_SECONDS             = var.producer_settings.resend_seconds
    FRAMEFLEET_KEEP_FRAMES_SECONDS        = var.producer_settings.keep_frames_seconds
    FRAMEFLEET_KEEP_FAILED_FRAMES_SECONDS = var.producer_settings.keep_failed_frames_seconds
    FRAMEFLEET_DURATION_SECONDS_MAX       = var.producer_settings.duration_seconds_max
    FRAMEFLEET_FRAMES_MAX                 = var.producer_settings.frames_max
    FRAMEFLEET_PIXELS_MAX                 = var.producer_settings.pixels_max
    FRAMEFLEET_STEP_SECONDS_MAX           = var.producer_settings.step_seconds_max
    AZURE_CLIENT_ID                       = azurerm_user_assigned_identity.room["producer"].client_id
  })

  # The ephemeral storage of a container app depends on its vCPUs. Azure ends an app that uses more.
  producer_disk_bytes = pow(2, 30) * (var.producer_size.cpu > 1 ? 8 : var.producer_size.cpu > 0.5 ? 4 : 2)

  producer_secrets = merge(local.redis_secrets, local.page_secrets)

  # Scale rules of KEDA: as many replicas as steps of a kind run at the same time. A replica runs two of each kind, so while steps wait,
  # the number of replicas doubles, and a waiting step soon finds a free slot. The waiting steps themselves are not counted: steps have
  # priorities, so they wait in a sorted set, and KEDA's rule is specified for lists only.
  producer_scale_lists = { for step in ["split", "stitch"] : step => "bull:framefleet-${step}:active" }
  producer_scale_redis = merge({ address = local.redis_address }, var.managed_redis ? { enableTLS = "true" } : {})
}

resource "azurerm_container_app" "producer" {
  name                         = "producer"
  resource_group_name          = azurerm_resource_group.fleet.name
  container_app_environment_id = azurerm_container_app_environment.fleet.id
  workload_profile_name        = "Consumption"
  revision_mode                = "Single"
  tags                         = local.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.room["producer"].id]
  }
  registry {
    server   = azurerm_container_registry.fleet.login_server
    identity = azurerm_user_assigned_identity.room["producer"].id
  }

  # A reference to the key vault: the value is not in the state.
  dynamic "secret" {
    for_each = merge(local.producer_secrets, local.redis_scale_secrets)
    content {
      name                = secret.value.name
      identity            = azurerm_user_assigned_identity.room["producer"].id
      key_vault_secret_id = secret.value.id
    }
  }

  # For a Prometheus in this environment; with the page, for the page only.
  ingress {
    external_enabled = var.page_enabled
    target_port      = var.page_enabled ? local.page_port : local.app_port
    transport        = "http"
    traffic_weight {
      latest_revision = true
      percentage      = 100
    }

    # Other addresses are rejected before anyone signs in.
    dynamic "ip_security_restriction" {
      for_each = var.page_enabled ? local.operator_ranges : []
      content {
        name             = "operators-${ip_security_restriction.key + 1}"
        action           = "Allow"
        ip_address_range = ip_security_restriction.value
      }
    }
  }

  template {
    min_replicas                     = 1
    max_replicas                     = var.producers_max
    termination_grace_period_seconds = 30

    dynamic "custom_scale_rule" {
      for_each = local.producer_scale_lists
      content {
        name             = custom_scale_rule.key
        custom_rule_type = "redis"
        metadata         = merge(local.producer_scale_redis, { listName = custom_scale_rule.value, listLength = "1" })

        dynamic "authentication" {
          for_each = local.redis_scale_secrets
          content {
            secret_name       = authentication.value.name
            trigger_parameter = authentication.key
          }
        }
      }
    }

    container {
      name   = "producer"
      image  = local.images["producer"]
      cpu    = var.producer_size.cpu
      memory = "${var.producer_size.memory}Gi"

      dynamic "env" {
        for_each = { for name, value in local.producer_env : name => tostring(value) if value != null }
        content {
          name  = env.key
          value = env.value
        }
      }
      dynamic "env" {
        for_each = local.producer_secrets
        content {
          name        = env.key
          secret_name = env.value.name
        }
      }
      volume_mounts {
        name = "work"
        path = "/work"
      }

      # The program does not wait for storage or Redis at startup; without them it exits and is restarted.
      startup_probe {
        transport               = "HTTP"
        port                    = local.app_port
        path                    = "/health/live"
        interval_seconds        = 10
        failure_count_threshold = 10
      }
      liveness_probe {
        transport               = "HTTP"
        port                    = local.app_port
        path                    = "/health/live"
        interval_seconds        = 10
        failure_count_threshold = 6
      }
      readiness_probe {
        transport        = "HTTP"
        port             = local.app_port
        path             = "/health/ready"
        interval_seconds = 10
      }
    }

    volume {
      name         = "work"
      storage_type = "EmptyDir"
    }
  }

  depends_on = [terraform_data.image, time_sleep.roles_known, time_sleep.redis_key_readable, time_sleep.token_readable]
}
