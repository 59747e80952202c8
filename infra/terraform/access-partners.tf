# Containers of partners, `share-…`: operators make and remove them (`npm run share`), the producer empties them. Nobody knows their
# names beforehand: these rights are to the media account, on the condition that the container is such a one.

locals {
  blobs = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"

  # Of the producer's role, and of Azure's for those who write.
  share_actions = {
    take  = ["read", "delete"]
    write = ["read", "write", "add/action", "delete", "move/action"]
  }

  # Azure's form of it: whatever is none of these actions, or in a container of that name.
  only_in_shares = {
    for role, actions in local.share_actions : role => format("((%s) OR (@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name] StringStartsWith 'share-'))",
      join(" AND ", [for action in actions : "!(ActionMatches{'${local.blobs}/${action}'})"]),
    )
  }

  share_openers = { for who, principal in local.principals : who => principal if startswith(who, "operator-") }
}

resource "azurerm_role_definition" "take_from_partners" {
  name        = "${var.name} ${local.suffix}: take from partners"
  description = "List, read and remove blobs. Not: write them, nor make or remove containers."
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

# What an address may do is what its signer may do, at most: they must be allowed to write there. That they may make and remove
# containers no condition can narrow.
resource "azurerm_role_assignment" "share" {
  for_each             = local.share_openers
  scope                = azurerm_storage_account.media.id
  principal_id         = each.value.id
  role_definition_name = local.blob_write
  condition            = local.only_in_shares.write
  condition_version    = "2.0"
}
