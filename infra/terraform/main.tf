# The resource group, and the names and tags of the resources in it.

data "azurerm_client_config" "current" {}

# Makes globally unique names.
resource "random_string" "suffix" {
  length  = 6
  special = false
  upper   = false
}

resource "azurerm_resource_group" "fleet" {
  name     = var.name
  location = var.location
  tags     = local.tags
}

locals {
  location = azurerm_resource_group.fleet.location
  suffix   = random_string.suffix.result
  tags     = merge({ system = "framefleet", fleet = var.name }, var.tags)

  # Storage rejects a single address with /32, but the key vault and the apps require it.
  operator_ranges = [for address in var.operator_addresses : strcontains(address, "/") ? address : "${address}/32"]

  # A new role assignment takes one to two minutes to take effect everywhere in Azure.
  role_spread = "120s"
}
