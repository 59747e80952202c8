# The scaler's token, the only secret unless `managed_redis` is true (see redis-managed.tf). An ephemeral value is passed to a write-only
# argument, so the token is in the key vault but never in the state. To replace it, increase `token_version`.

locals {
  token_version = 1
}

resource "azurerm_key_vault" "fleet" {
  name                       = "${var.name}-${local.suffix}"
  resource_group_name        = azurerm_resource_group.fleet.name
  location                   = local.location
  tenant_id                  = data.azurerm_client_config.current.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  soft_delete_retention_days = 7
  # destroy must leave nothing behind, and a lost token can be replaced.
  purge_protection_enabled = false
  tags                     = local.tags

  network_acls {
    default_action             = "Deny"
    bypass                     = "None"
    ip_rules                   = concat(local.operator_ranges, [for way_out in azurerm_public_ip.nat : "${way_out.ip_address}/32"])
    virtual_network_subnet_ids = [azurerm_subnet.apps.id]
  }
}

# The identity that runs Terraform writes the token.
resource "azurerm_role_assignment" "put_secrets" {
  scope                = azurerm_key_vault.fleet.id
  principal_id         = data.azurerm_client_config.current.object_id
  role_definition_name = "Key Vault Secrets Officer"
}

resource "time_sleep" "secrets_known" {
  create_duration = local.role_spread
  triggers        = { assignment = azurerm_role_assignment.put_secrets.id }
}

ephemeral "random_password" "scaler_token" {
  length  = 48
  special = false
}

resource "azurerm_key_vault_secret" "scaler_token" {
  name             = "scaler-token"
  key_vault_id     = azurerm_key_vault.fleet.id
  content_type     = "text/plain"
  value_wo         = ephemeral.random_password.scaler_token.result
  value_wo_version = local.token_version
  tags             = local.tags

  depends_on = [time_sleep.secrets_known]
}

# The scaler reads the token to verify it. Operators read it to send it, and so does the producer for its page.
resource "azurerm_role_assignment" "read_token" {
  for_each             = { for who, principal in local.principals : who => principal if who == "scaler" || startswith(who, "operator-") || (var.page_enabled && who == "producer") }
  scope                = azurerm_key_vault_secret.scaler_token.resource_versionless_id
  principal_id         = each.value.id
  principal_type       = each.value.type
  role_definition_name = "Key Vault Secrets User"
}

resource "time_sleep" "token_readable" {
  create_duration = local.role_spread
  triggers = {
    assignment = azurerm_role_assignment.read_token["scaler"].id
    page       = var.page_enabled ? azurerm_role_assignment.read_token["producer"].id : ""
  }
}
