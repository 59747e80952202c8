# Redis for the ledger, in the smallest container that Azure offers. It stores nothing on disk: if the ledger is lost, the producer
# rebuilds it from storage within minutes, and no frame is lost. Redis is a separate app, so the ledger survives an update of the
# producer.

locals {
  redis_port = 6379
  # No TLS and no password: only apps in this environment can reach Redis, and both of them use it.
  redis_address = var.managed_redis ? local.redis_managed_address : "${azurerm_container_app.redis[0].name}:${local.redis_port}"
  redis_url     = var.managed_redis ? null : "redis://${local.redis_address}"
}

resource "azurerm_container_app" "redis" {
  count                        = var.managed_redis ? 0 : 1
  name                         = "redis"
  resource_group_name          = azurerm_resource_group.fleet.name
  container_app_environment_id = azurerm_container_app_environment.fleet.id
  workload_profile_name        = "Consumption"
  revision_mode                = "Single"
  tags                         = local.tags

  ingress {
    external_enabled = false
    transport        = "tcp"
    target_port      = local.redis_port
    exposed_port     = local.redis_port
    traffic_weight {
      latest_revision = true
      percentage      = 100
    }
  }

  template {
    min_replicas = 1
    max_replicas = 1

    container {
      name    = "redis"
      image   = var.redis_image
      cpu     = 0.25
      memory  = "0.5Gi"
      command = ["redis-server"]
      # A full Redis must return errors: BullMQ loses jobs if keys are evicted.
      args = [
        "--port", tostring(local.redis_port),
        "--save", "",
        "--appendonly", "no",
        "--maxmemory", "350mb",
        "--maxmemory-policy", "noeviction",
        "--protected-mode", "no",
      ]

      liveness_probe {
        transport        = "TCP"
        port             = local.redis_port
        interval_seconds = 10
      }
      readiness_probe {
        transport        = "TCP"
        port             = local.redis_port
        interval_seconds = 5
      }
    }
  }
}
