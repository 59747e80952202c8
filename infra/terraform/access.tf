# All role assignments for data: the access table, at the narrowest scope that Azure supports. No other access is granted.

locals {
  # Reader sees the length of a queue. Holding a lease means receiving, renewing and deleting messages; Azure's roles allow this only
  # together with deleting the queue, so it needs a custom role.
  blob_read   = "Storage Blob Data Reader"
  blob_write  = "Storage Blob Data Contributor"
  queue_send  = "Storage Queue Data Message Sender"
  queue_count = "Storage Queue Data Reader"
  queue_hold  = "hold leases"

  access_table = {
    # Uses all media containers; receives results and events. Sends batches, and takes those of paused and cancelled jobs back. Counts the
    # poison queue, and removes entries that are retried. Its page shows heartbeats.
    producer = {
      incoming             = [local.blob_write]
      pieces               = [local.blob_write]
      scored               = [local.blob_write]
      results              = [local.blob_write]
      models               = [local.blob_read]
      logs                 = [local.blob_write]
      control              = [local.blob_write]
      workers              = var.page_enabled ? [local.blob_read] : []
      frame-batches        = [local.queue_send, local.queue_hold]
      batch-results        = [local.queue_hold]
      media-events         = [local.queue_hold]
      frame-batches-poison = [local.queue_hold]
    }
    # Reads pieces, models and control; writes segments, logs and heartbeats; holds batches.
    worker = {
      pieces               = [local.blob_read]
      scored               = [local.blob_write]
      models               = [local.blob_read]
      logs                 = [local.blob_write]
      workers              = [local.blob_write]
      control              = [local.blob_read]
      frame-batches        = [local.queue_hold]
      batch-results        = [local.queue_send]
      frame-batches-poison = [local.queue_send]
    }
    # Counts the queue; reads heartbeats and deletes old ones; writes drain requests, the override and its log.
    scaler = {
      frame-batches = [local.queue_count]
      workers       = [local.blob_write]
      control       = [local.blob_write]
      logs          = [local.blob_write]
    }
    # Event Grid.
    events = {
      media-events = [local.queue_send]
    }
  }

  # For the npm commands: enqueue, show and control jobs, list and redrive poison messages, change caps, publish models.
  operator_table = {
    incoming             = [local.blob_write]
    results              = [local.blob_write]
    models               = [local.blob_write]
    logs                 = [local.blob_write]
    control              = [local.blob_write]
    workers              = [local.blob_read]
    frame-batches        = [local.queue_send]
    frame-batches-poison = [local.queue_hold]
  }

  uploader_table = {
    incoming = [local.blob_write]
    results  = [local.blob_read]
  }

  tables = merge(
    local.access_table,
    { for who in keys(local.principals) : who => local.operator_table if startswith(who, "operator-") },
    { for who in keys(local.principals) : who => local.uploader_table if startswith(who, "uploader-") },
  )

  access_rows = flatten([
    for who, table in local.tables : [
      for what, roles in table : [
        for role in roles : { who = who, role = role, what = what }
      ]
    ]
  ])
  access = { for row in local.access_rows : "${row.who}: ${row.role}: ${row.what}" => row }

  # Built from names, because `id` of these resources is a URL in some releases of the provider.
  scopes = merge(
    { for name, one in azurerm_storage_container.media : name => "${azurerm_storage_account.media.id}/blobServices/default/containers/${one.name}" },
    { for name, one in azurerm_storage_container.system : name => "${azurerm_storage_account.system.id}/blobServices/default/containers/${one.name}" },
    { for name, one in azurerm_storage_queue.system : name => "${azurerm_storage_account.system.id}/queueServices/default/queues/${one.name}" },
  )
}

resource "azurerm_role_assignment" "data" {
  for_each             = local.access
  scope                = local.scopes[each.value.what]
  principal_id         = local.principals[each.value.who].id
  principal_type       = local.principals[each.value.who].type
  role_definition_name = each.value.role == local.queue_hold ? null : each.value.role
  role_definition_id   = each.value.role == local.queue_hold ? azurerm_role_definition.hold_leases.role_definition_resource_id : null
}

resource "azurerm_role_definition" "hold_leases" {
  name        = "${var.name} ${local.suffix}: hold leases"
  description = "Receive, renew, release, delete and count messages. Cannot delete or clear the queue."
  scope       = azurerm_resource_group.fleet.id

  permissions {
    actions = ["Microsoft.Storage/storageAccounts/queueServices/queues/read"]
    data_actions = [
      "Microsoft.Storage/storageAccounts/queueServices/queues/messages/read",
      "Microsoft.Storage/storageAccounts/queueServices/queues/messages/process/action",
      "Microsoft.Storage/storageAccounts/queueServices/queues/messages/write",
      "Microsoft.Storage/storageAccounts/queueServices/queues/messages/delete",
    ]
  }
}

# Operators sign SAS URLs with their own identity, because the account rejects keys.
resource "azurerm_role_assignment" "delegate" {
  for_each             = { for who, principal in local.principals : who => principal if startswith(who, "operator-") }
  scope                = azurerm_storage_account.media.id
  principal_id         = each.value.id
  role_definition_name = "Storage Blob Delegator"
}

# Rooms that run a container image.
resource "azurerm_role_assignment" "pull" {
  for_each             = toset(["producer", "worker", "scaler"])
  scope                = azurerm_container_registry.fleet.id
  principal_id         = local.principals[each.key].id
  principal_type       = "ServicePrincipal"
  role_definition_name = "AcrPull"
}

resource "time_sleep" "roles_known" {
  create_duration = local.role_spread

  triggers = {
    assignments = join(",", sort(concat(
      [for one in azurerm_role_assignment.data : one.id],
      [for one in azurerm_role_assignment.pull : one.id],
    )))
  }
}
