# The system account: models, logs, heartbeats, control, and all queues. External uploaders cannot reach it.

locals {
  system_containers = ["models", "logs", "workers", "control"]
  system_queues     = ["frame-batches", "frame-batches-poison", "batch-results", "media-events"]

  system_removals = {
    logs       = { prefix = "logs/", days = var.keep_logs_days, type = "appendBlob" }
    heartbeats = { prefix = "workers/", days = 7, type = "blockBlob" }
    drains     = { prefix = "control/drain/", days = 7, type = "blockBlob" }
  }
}

resource "azurerm_storage_account" "system" {
  name                     = "${var.name}system${local.suffix}"
  resource_group_name      = azurerm_resource_group.fleet.name
  location                 = local.location
  account_kind             = "StorageV2"
  account_tier             = "Standard"
  account_replication_type = var.storage_replication
  tags                     = local.tags

  shared_access_key_enabled         = false
  default_to_oauth_authentication   = true
  local_user_enabled                = false
  allow_nested_items_to_be_public   = false
  cross_tenant_replication_enabled  = false
  allowed_copy_scope                = "AAD"
  https_traffic_only_enabled        = true
  min_tls_version                   = "TLS1_2"
  infrastructure_encryption_enabled = true

  sas_policy {
    expiration_period = "01.00:00:00"
    expiration_action = "Block"
  }

  # AzureServices: Event Grid, which authenticates with its identity.
  network_rules {
    default_action             = "Deny"
    bypass                     = ["AzureServices"]
    ip_rules                   = var.operator_addresses
    virtual_network_subnet_ids = [azurerm_subnet.apps.id, azurerm_subnet.workers.id]
  }

  # Soft delete for containers but not for blobs: heartbeats are overwritten every few seconds, and every version would be kept.
  blob_properties {
    container_delete_retention_policy {
      days = 7
    }
  }
}

resource "azurerm_storage_container" "system" {
  for_each              = toset(local.system_containers)
  name                  = each.key
  storage_account_id    = azurerm_storage_account.system.id
  container_access_type = "private"
}

resource "azurerm_storage_queue" "system" {
  for_each           = toset(local.system_queues)
  name               = each.key
  storage_account_id = azurerm_storage_account.system.id
}

resource "azurerm_storage_management_policy" "system" {
  storage_account_id = azurerm_storage_account.system.id

  dynamic "rule" {
    for_each = local.system_removals
    content {
      name    = "remove-${rule.key}"
      enabled = true
      filters {
        blob_types   = [rule.value.type]
        prefix_match = [rule.value.prefix]
      }
      actions {
        base_blob {
          delete_after_days_since_modification_greater_than = rule.value.days
        }
      }
    }
  }
}
