# The ledger: a Redis of our own beside the programs, for as little money as Azure asks for a container. It keeps nothing on
# disk. Storage is the truth: when it is lost, the producer builds it again and loses minutes, not frames. It is an app of its
# own and not a part of the producer's, so that a new producer finds the old ledger.

locals {
  redis_port = 6379
  # No password: nobody but the apps of this environment has a way to it, and those are the two that use it.
  redis_url = var.managed_redis ? null : "redis://${azurerm_container_app.redis[0].name}:${local.redis_port}"
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
      # What is full must say so: BullMQ loses jobs when keys are evicted.
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
