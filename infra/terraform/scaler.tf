# The scaler, with one replica. Only the holder of the leader lease acts, so a second replica during an update is safe.

locals {
  scale_sets = join(",", [for pool in local.pools : "${pool.name}:${pool.kind}"])
  prices = [
    for pool in local.pools : "${pool.name}=${
      try(var.prices[pool.size][pool.kind], local.price_of_size[pool.size][pool.kind], local.price_unknown[pool.kind])
    }"
  ]

  # Every variable that scaler/config.ts reads, except the token, which is a secret. Null keeps the default of the program.
  scaler_env = merge(local.app_env, {
    FRAMEFLEET_FLEET                   = "azure"
    FRAMEFLEET_SUBSCRIPTION_ID         = var.subscription_id
    FRAMEFLEET_RESOURCE_GROUP          = azurerm_resource_group.fleet.name
    FRAMEFLEET_SCALE_SETS              = local.scale_sets
    FRAMEFLEET_PRICES                  = join(",", local.prices)
    FRAMEFLEET_CAPACITY_MAX            = var.capacity_max
    FRAMEFLEET_CAPACITY_MIN            = var.capacity_min
    FRAMEFLEET_SCHEDULE                = length(var.schedule) == 0 ? null : join("; ", var.schedule)
    FRAMEFLEET_ON_DEMAND_BASE          = var.on_demand_base
    FRAMEFLEET_SPENDING_PER_HOUR_MAX   = var.spending_per_hour_max
    FRAMEFLEET_ENGINES_PER_INSTANCE    = local.gpus_per_machine
    FRAMEFLEET_LEASE_SECONDS           = var.lease_seconds
    FRAMEFLEET_TICK_SECONDS            = var.scaler_settings.tick_seconds
    FRAMEFLEET_LEADER_SECONDS          = var.scaler_settings.leader_seconds
    FRAMEFLEET_DRAIN_TARGET_SECONDS    = var.scaler_settings.drain_target_seconds
    FRAMEFLEET_IDLE_SECONDS            = var.scaler_settings.idle_seconds
    FRAMEFLEET_BOOT_TIMEOUT_SECONDS    = var.scaler_settings.boot_timeout_seconds
    FRAMEFLEET_HEARTBEAT_STALE_SECONDS = var.scaler_settings.heartbeat_stale_seconds
    # For scaler/cli/scale.ts and explain.ts when run inside the container.
    FRAMEFLEET_SCALER_URL = "http://127.0.0.1:${local.app_port}"
    AZURE_CLIENT_ID       = azurerm_user_assigned_identity.room["scaler"].client_id
  })

  scaler_secrets = merge(
    { FRAMEFLEET_SCALER_TOKEN = { name = "scaler-token", id = azurerm_key_vault_secret.scaler_token.versionless_id } },
    local.redis_secrets,
  )
}

resource "azurerm_container_app" "scaler" {
  name                         = "scaler"
  resource_group_name          = azurerm_resource_group.fleet.name
  container_app_environment_id = azurerm_container_app_environment.fleet.id
  workload_profile_name        = "Consumption"
  revision_mode                = "Single"
  tags                         = local.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.room["scaler"].id]
  }
  registry {
    server   = azurerm_container_registry.fleet.login_server
    identity = azurerm_user_assigned_identity.room["scaler"].id
  }

  # A reference to the key vault: the value is not in the state.
  dynamic "secret" {
    for_each = local.scaler_secrets
    content {
      name                = secret.value.name
      identity            = azurerm_user_assigned_identity.room["scaler"].id
      key_vault_secret_id = secret.value.id
    }
  }

  ingress {
    external_enabled           = var.scaler_endpoint_public
    allow_insecure_connections = false
    target_port                = local.app_port
    transport                  = "http"
    traffic_weight {
      latest_revision = true
      percentage      = 100
    }

    # Other addresses are rejected before the token is checked.
    dynamic "ip_security_restriction" {
      for_each = var.scaler_endpoint_public ? local.operator_ranges : []
      content {
        name             = "operators-${ip_security_restriction.key + 1}"
        action           = "Allow"
        ip_address_range = ip_security_restriction.value
      }
    }
  }

  template {
    min_replicas                     = 1
    max_replicas                     = 1
    termination_grace_period_seconds = 30

    container {
      name   = "scaler"
      image  = local.images["scaler"]
      cpu    = 0.25
      memory = "0.5Gi"

      dynamic "env" {
        for_each = { for name, value in local.scaler_env : name => tostring(value) if value != null }
        content {
          name  = env.key
          value = env.value
        }
      }
      dynamic "env" {
        for_each = local.scaler_secrets
        content {
          name        = env.key
          secret_name = env.value.name
        }
      }

      startup_probe {
        transport               = "HTTP"
        port                    = local.app_port
        path                    = "/health/live"
        interval_seconds        = 10
        failure_count_threshold = 10
      }
      # Fails if the loop of the scaler has stopped.
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
  }

  # Created last and destroyed first, because a running scaler may start instances.
  depends_on = [
    azurerm_role_assignment.make_machines,
    azurerm_role_assignment.scale,
    terraform_data.image,
    time_sleep.redis_key_readable,
    time_sleep.roles_known,
    time_sleep.token_readable,
  ]
}
