# Two subnets: one for the instances, which accept no connections and reach only storage and the registry, and one for the apps.

resource "azurerm_virtual_network" "fleet" {
  name                = "fleet"
  resource_group_name = azurerm_resource_group.fleet.name
  location            = local.location
  address_space       = ["10.42.0.0/16"]
  tags                = local.tags
}

# 1,019 usable addresses, because capacity_max is at most 1,000.
resource "azurerm_subnet" "workers" {
  name                            = "workers"
  resource_group_name             = azurerm_resource_group.fleet.name
  virtual_network_name            = azurerm_virtual_network.fleet.name
  address_prefixes                = ["10.42.0.0/22"]
  service_endpoints               = ["Microsoft.Storage"]
  default_outbound_access_enabled = false
}

resource "azurerm_subnet" "apps" {
  name                 = "apps"
  resource_group_name  = azurerm_resource_group.fleet.name
  virtual_network_name = azurerm_virtual_network.fleet.name
  address_prefixes     = ["10.42.4.0/23"]
  service_endpoints    = ["Microsoft.KeyVault", "Microsoft.Storage"]

  delegation {
    name = "apps"
    service_delegation {
      name    = "Microsoft.App/environments"
      actions = ["Microsoft.Network/virtualNetworks/subnets/join/action"]
    }
  }
}

locals {
  # A worker decodes untrusted media, so it can reach only these services.
  worker_destinations = ["Storage", "AzureContainerRegistry"]
}

resource "azurerm_network_security_group" "workers" {
  name                = "workers"
  resource_group_name = azurerm_resource_group.fleet.name
  location            = local.location
  tags                = local.tags

  security_rule {
    name                       = "deny-inbound"
    priority                   = 100
    direction                  = "Inbound"
    access                     = "Deny"
    protocol                   = "*"
    source_port_range          = "*"
    source_address_prefix      = "*"
    destination_port_range     = "*"
    destination_address_prefix = "*"
  }

  dynamic "security_rule" {
    for_each = local.worker_destinations
    content {
      name                       = "out-to-${lower(security_rule.value)}"
      priority                   = 100 + security_rule.key
      direction                  = "Outbound"
      access                     = "Allow"
      protocol                   = "Tcp"
      source_port_range          = "*"
      source_address_prefix      = "*"
      destination_port_range     = "443"
      destination_address_prefix = security_rule.value
    }
  }

  # Does not affect Azure's DNS and metadata service: the platform always allows them.
  security_rule {
    name                       = "deny-outbound"
    priority                   = 200
    direction                  = "Outbound"
    access                     = "Deny"
    protocol                   = "*"
    source_port_range          = "*"
    source_address_prefix      = "*"
    destination_port_range     = "*"
    destination_address_prefix = "*"
  }
}

resource "azurerm_subnet_network_security_group_association" "workers" {
  subnet_id                 = azurerm_subnet.workers.id
  network_security_group_id = azurerm_network_security_group.workers.id
}

resource "azurerm_public_ip" "nat" {
  count               = var.nat_gateway ? 1 : 0
  name                = "nat"
  resource_group_name = azurerm_resource_group.fleet.name
  location            = local.location
  allocation_method   = "Static"
  sku                 = "Standard"
  tags                = local.tags
}

resource "azurerm_nat_gateway" "fleet" {
  count               = var.nat_gateway ? 1 : 0
  name                = "fleet"
  resource_group_name = azurerm_resource_group.fleet.name
  location            = local.location
  sku_name            = "Standard"
  tags                = local.tags
}

resource "azurerm_nat_gateway_public_ip_association" "fleet" {
  count                = var.nat_gateway ? 1 : 0
  nat_gateway_id       = azurerm_nat_gateway.fleet[0].id
  public_ip_address_id = azurerm_public_ip.nat[0].id
}

# The apps use it, too. Its address is known in advance, and the key vault allows it.
resource "azurerm_subnet_nat_gateway_association" "fleet" {
  for_each       = var.nat_gateway ? { workers = azurerm_subnet.workers.id, apps = azurerm_subnet.apps.id } : {}
  subnet_id      = each.value
  nat_gateway_id = azurerm_nat_gateway.fleet[0].id
}
