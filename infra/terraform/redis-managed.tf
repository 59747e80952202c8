# Azure Managed Redis instead of a container, if `managed_redis` is true. It survives the loss of a host and costs money while idle.
#
# ioredis cannot authenticate with a managed identity, so a key is needed, and the key must not be in the state. Therefore azapi creates
# the cluster, because it does not read keys; a template deployment copies the key to the vault with `listKeys`, which Azure evaluates;
# and the programs read the key from the vault. The vault has it twice: in the URL for the programs, and alone for the producer's scale
# rules.

locals {
  redis_api             = "2025-07-01"
  redis_tls_port        = 10000
  redis_managed_address = var.managed_redis ? "${azapi_resource.managed_redis[0].output.properties.hostName}:${local.redis_tls_port}" : null
  redis_secret          = "redis-url"
  redis_users           = var.managed_redis ? ["producer", "scaler"] : []
  redis_password_secret = "redis-password"

  # Expressions of the template deployment.
  redis_key = "listKeys(parameters('database'), '${local.redis_api}').primaryKey"
  redis_secret_values = {
    (local.redis_secret)          = "[concat('rediss://:', uriComponent(${local.redis_key}), '@', parameters('address'))]"
    (local.redis_password_secret) = "[${local.redis_key}]"
  }

  # Replaces the plain variable with the address of the container.
  redis_secrets = var.managed_redis ? {
    FRAMEFLEET_REDIS_URL = { name = local.redis_secret, id = "${azurerm_key_vault.fleet.vault_uri}secrets/${local.redis_secret}" }
  } : {}

  # For the producer's scale rules; not passed to a program. The key is the name of the parameter in KEDA.
  redis_scale_secrets = var.managed_redis ? {
    password = { name = local.redis_password_secret, id = "${azurerm_key_vault.fleet.vault_uri}secrets/${local.redis_password_secret}" }
  } : {}
}

resource "azapi_resource" "managed_redis" {
  count                     = var.managed_redis ? 1 : 0
  type                      = "Microsoft.Cache/redisEnterprise@${local.redis_api}"
  name                      = "${var.name}-${local.suffix}"
  parent_id                 = azurerm_resource_group.fleet.id
  location                  = local.location
  tags                      = local.tags
  schema_validation_enabled = false
  response_export_values    = ["properties.hostName"]

  body = {
    sku = { name = var.managed_redis_size }
    properties = {
      minimumTlsVersion   = "1.2"
      highAvailability    = "Enabled"
      publicNetworkAccess = "Disabled"
    }
  }
}

resource "azapi_resource" "managed_redis_database" {
  count                     = var.managed_redis ? 1 : 0
  type                      = "Microsoft.Cache/redisEnterprise/databases@${local.redis_api}"
  name                      = "default"
  parent_id                 = azapi_resource.managed_redis[0].id
  schema_validation_enabled = false
  response_export_values    = []

  # EnterpriseCluster has one endpoint, for clients without cluster support. NoEviction: BullMQ loses jobs if keys are evicted.
  body = {
    properties = {
      port                     = local.redis_tls_port
      clientProtocol           = "Encrypted"
      clusteringPolicy         = "EnterpriseCluster"
      evictionPolicy           = "NoEviction"
      accessKeysAuthentication = "Enabled"
    }
  }
}

# Azure evaluates listKeys, so the key is neither in the state nor on this machine.
resource "azurerm_resource_group_template_deployment" "redis_url" {
  count               = var.managed_redis ? 1 : 0
  name                = local.redis_secret
  resource_group_name = azurerm_resource_group.fleet.name
  deployment_mode     = "Incremental"
  tags                = local.tags

  template_content = jsonencode({
    "$schema"      = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
    contentVersion = "1.0.0.0"
    parameters     = { for name in ["vault", "database", "address"] : name => { type = "string" } }
    resources = [for name, value in local.redis_secret_values : {
      type       = "Microsoft.KeyVault/vaults/secrets"
      apiVersion = "2023-07-01"
      name       = "[concat(parameters('vault'), '/${name}')]"
      properties = { contentType = "text/plain", value = value }
    }]
  })
  parameters_content = jsonencode({
    vault    = { value = azurerm_key_vault.fleet.name }
    database = { value = azapi_resource.managed_redis_database[0].id }
    address  = { value = local.redis_managed_address }
  })
}

resource "azurerm_role_assignment" "read_redis_url" {
  for_each             = toset(local.redis_users)
  scope                = "${azurerm_key_vault.fleet.id}/secrets/${local.redis_secret}"
  principal_id         = local.principals[each.key].id
  principal_type       = "ServicePrincipal"
  role_definition_name = "Key Vault Secrets User"

  depends_on = [azurerm_resource_group_template_deployment.redis_url]
}

resource "azurerm_role_assignment" "read_redis_password" {
  count                = var.managed_redis ? 1 : 0
  scope                = "${azurerm_key_vault.fleet.id}/secrets/${local.redis_password_secret}"
  principal_id         = local.principals["producer"].id
  principal_type       = "ServicePrincipal"
  role_definition_name = "Key Vault Secrets User"

  depends_on = [azurerm_resource_group_template_deployment.redis_url]
}

resource "time_sleep" "redis_key_readable" {
  create_duration = local.role_spread

  triggers = {
    assignments = join(",", sort(concat(
      [for one in azurerm_role_assignment.read_redis_url : one.id],
      [for one in azurerm_role_assignment.read_redis_password : one.id],
    )))
  }
}

# The private endpoint is the only access; the private DNS zone resolves its name.
resource "azurerm_subnet" "doors" {
  count                = var.managed_redis ? 1 : 0
  name                 = "doors"
  resource_group_name  = azurerm_resource_group.fleet.name
  virtual_network_name = azurerm_virtual_network.fleet.name
  address_prefixes     = ["10.42.6.0/27"]
}

resource "azurerm_private_dns_zone" "redis" {
  count               = var.managed_redis ? 1 : 0
  name                = "privatelink.redis.azure.net"
  resource_group_name = azurerm_resource_group.fleet.name
  tags                = local.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "redis" {
  count                 = var.managed_redis ? 1 : 0
  name                  = "fleet"
  resource_group_name   = azurerm_resource_group.fleet.name
  private_dns_zone_name = azurerm_private_dns_zone.redis[0].name
  virtual_network_id    = azurerm_virtual_network.fleet.id
  tags                  = local.tags
}

resource "azurerm_private_endpoint" "redis" {
  count               = var.managed_redis ? 1 : 0
  name                = "redis"
  resource_group_name = azurerm_resource_group.fleet.name
  location            = local.location
  subnet_id           = azurerm_subnet.doors[0].id
  tags                = local.tags

  private_service_connection {
    name                           = "redis"
    private_connection_resource_id = azapi_resource.managed_redis[0].id
    subresource_names              = ["redisEnterprise"]
    is_manual_connection           = false
  }
  private_dns_zone_group {
    name                 = "redis"
    private_dns_zone_ids = [azurerm_private_dns_zone.redis[0].id]
  }
}
