# The Container Apps environment of producer, scaler and Redis, in the fleet's network. It has a public address only if
# `scaler_endpoint_public` or `page_enabled` is true.

resource "azurerm_container_app_environment" "fleet" {
  name                               = var.name
  resource_group_name                = azurerm_resource_group.fleet.name
  location                           = local.location
  infrastructure_subnet_id           = azurerm_subnet.apps.id
  infrastructure_resource_group_name = "${var.name}-apps"
  internal_load_balancer_enabled     = !(var.scaler_endpoint_public || var.page_enabled)
  # The platform sends the logs through a diagnostic setting, which needs no workspace key.
  logs_destination = "azure-monitor"
  tags             = local.tags

  workload_profile {
    name                  = "Consumption"
    workload_profile_type = "Consumption"
  }

  depends_on = [azurerm_subnet_nat_gateway_association.fleet]
}

locals {
  app_port = 8080
  # Variables of both producer and scaler.
  app_env = {
    FRAMEFLEET_MEDIA_STORAGE  = azurerm_storage_account.media.name
    FRAMEFLEET_SYSTEM_STORAGE = azurerm_storage_account.system.name
    FRAMEFLEET_REDIS_URL      = local.redis_url
    FRAMEFLEET_LOG_LEVEL      = var.log_level
    FRAMEFLEET_HTTP_HOST      = "0.0.0.0"
    FRAMEFLEET_HTTP_PORT      = local.app_port
  }
}
