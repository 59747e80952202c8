# A managed identity for each room and for Event Grid. None has a password.

locals {
  rooms = ["producer", "worker", "scaler", "events"]
}

resource "azurerm_user_assigned_identity" "room" {
  for_each            = toset(local.rooms)
  name                = each.key
  resource_group_name = azurerm_resource_group.fleet.name
  location            = local.location
  tags                = local.tags
}

locals {
  # Keyed by index, because for_each keys must be known at plan time and the object IDs may not be.
  operators = length(var.operators) > 0 ? var.operators : [data.azurerm_client_config.current.object_id]

  principals = merge(
    { for room, identity in azurerm_user_assigned_identity.room : room => { id = identity.principal_id, type = "ServicePrincipal" } },
    { for index, id in local.operators : "operator-${index + 1}" => { id = id, type = null } },
    { for index, id in var.uploaders : "uploader-${index + 1}" => { id = id, type = null } },
  )
}
