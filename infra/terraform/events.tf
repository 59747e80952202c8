# Event Grid reports new media on a queue. There is no dead-lettering, because the producer's scan of `incoming` finds missed blobs.

locals {
  # A subscription can filter by only one prefix and one suffix.
  media_events = {
    triggers = { begins = "/blobServices/default/containers/incoming/blobs/", ends = "/job.json" }
    drop     = { begins = "/blobServices/default/containers/incoming/blobs/drop/", ends = "" }
    shares   = { begins = "/blobServices/default/containers/share-", ends = "" }
  }
}

resource "azurerm_eventgrid_system_topic" "media" {
  name                = "media"
  resource_group_name = azurerm_resource_group.fleet.name
  location            = local.location
  topic_type          = "Microsoft.Storage.StorageAccounts"
  source_resource_id  = azurerm_storage_account.media.id
  tags                = local.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.room["events"].id]
  }
}

resource "azurerm_eventgrid_system_topic_event_subscription" "media" {
  for_each              = local.media_events
  name                  = each.key
  system_topic          = azurerm_eventgrid_system_topic.media.name
  resource_group_name   = azurerm_resource_group.fleet.name
  event_delivery_schema = "EventGridSchema"
  included_event_types  = ["Microsoft.Storage.BlobCreated"]

  subject_filter {
    subject_begins_with = each.value.begins
    subject_ends_with   = each.value.ends == "" ? null : each.value.ends
    case_sensitive      = true
  }

  storage_queue_endpoint {
    storage_account_id = azurerm_storage_account.system.id
    queue_name         = azurerm_storage_queue.system["media-events"].name
  }

  delivery_identity {
    type                   = "UserAssigned"
    user_assigned_identity = azurerm_user_assigned_identity.room["events"].id
  }

  depends_on = [time_sleep.roles_known]
}
