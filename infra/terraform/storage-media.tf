# The media account. External users can get access to it, so it has no queues.

locals {
  media_containers = ["incoming", "pieces", "scored", "results"]

  # Blobs that storage deletes by age: prefix and number of days. The producer normally deletes pieces and segments much earlier.
  media_removals = merge(
    {
      pieces = { prefix = "pieces/", days = var.keep_frames_days_max }
      scored = { prefix = "scored/", days = var.keep_frames_days_max }
      # Uploads that became no job: empty files, or files of a partner without a share.
      drop   = { prefix = "incoming/drop/", days = coalesce(var.keep_sources_days, var.keep_frames_days_max) }
      shares = { prefix = "share-", days = coalesce(var.keep_sources_days, var.keep_frames_days_max) }
    },
    var.keep_sources_days == null ? {} : {
      incoming = { prefix = "incoming/", days = var.keep_sources_days }
      results  = { prefix = "results/", days = var.keep_sources_days }
    },
  )
}

resource "azurerm_storage_account" "media" {
  name                     = "${var.name}media${local.suffix}"
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

  # The maximum validity of a SAS URL for a partner, signed with the identity of an operator.
  sas_policy {
    expiration_period = format("%02d.00:00:00", var.share_days_max)
    expiration_action = "Block"
  }

  network_rules {
    default_action             = "Deny"
    bypass                     = ["None"]
    ip_rules                   = distinct(concat(var.operator_addresses, var.uploader_addresses))
    virtual_network_subnet_ids = [azurerm_subnet.apps.id, azurerm_subnet.workers.id]
  }

  # Protects sources and results from accidental deletion. Deleted pieces and segments cost for three more days, which is little.
  blob_properties {
    delete_retention_policy {
      days = 3
    }
    container_delete_retention_policy {
      days = 7
    }
  }
}

resource "azurerm_storage_container" "media" {
  for_each              = toset(local.media_containers)
  name                  = each.key
  storage_account_id    = azurerm_storage_account.media.id
  container_access_type = "private"
}

resource "azurerm_storage_management_policy" "media" {
  storage_account_id = azurerm_storage_account.media.id

  dynamic "rule" {
    for_each = local.media_removals
    content {
      name    = "remove-${rule.key}"
      enabled = true
      filters {
        blob_types   = ["blockBlob"]
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
