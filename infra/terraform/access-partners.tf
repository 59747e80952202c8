# Access to the containers of partners, `share-…`. Operators create and delete them (`npm run share`), and the producer moves blobs out of
# them. Their names are not known in advance, so the roles apply to the media account, with a condition on the container name.

locals {
  blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"

  # Data actions of the producer's custom role and of Storage Blob Data Contributor.
  share_actions = {
    take  = ["read", "delete"]
    write = ["read", "write", "add/action", "delete", "move/action"]
  }

  # Azure's syntax for "these actions only in a container with this prefix": not one of the actions, or a matching container.
  only_in_shares = {
    for role, actions in local.share_actions : role => format("((%s) OR (@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name] StringStartsWith 'share-'))",
      join(" AND ", [for action in actions : "!(ActionMatches{'${local.blobs}/${action}'})"]),
    )
  }

  share_openers = { for who, principal in local.principals : who => principal if startswith(who, "operator-") }
}

resource "azurerm_role_definition" "take_from_partners" {
  name        = "${var.name} ${local.suffix}: take from partners"
  description = "List, read and delete blobs. Cannot write blobs or create or delete containers."
  scope       = azurerm_resource_group.fleet.id

  permissions {
    actions      = []
    data_actions = [for action in local.share_actions.take : "${local.blobs}/${action}"]
  }
}

resource "azurerm_role_assignment" "take_from_partners" {
  scope              = azurerm_storage_account.media.id
  principal_id       = local.principals["producer"].id
  principal_type     = "ServicePrincipal"
  role_definition_id = azurerm_role_definition.take_from_partners.role_definition_resource_id
  condition          = local.only_in_shares.take
  condition_version  = "2.0"
}

# A SAS URL grants at most the rights of its signer, so operators need write access there. A condition cannot restrict their right to
# create and delete containers.
resource "azurerm_role_assignment" "share" {
  for_each             = local.share_openers
  scope                = azurerm_storage_account.media.id
  principal_id         = each.value.id
  role_definition_name = local.blob_write
  condition            = local.only_in_shares.write
  condition_version    = "2.0"
}
