# The resource group, and how everything in it is named and tagged.

data "azurerm_client_config" "current" {}

# Some names are shared with the whole world.
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

  # Storage refuses a single address that has /32; the vault adds it, and apps want it.
  operator_ranges = [for address in var.operator_addresses : strcontains(address, "/") ? address : "${address}/32"]

  # A new role assignment takes a minute or two until everybody in Azure knows it.
  role_spread = "120s"
}
