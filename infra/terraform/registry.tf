# The container images. The registry builds them from the sources of this checkout, so no local Docker is needed.

locals {
  source_folder = abspath("${path.module}/../..")
  source_files = [
    for pattern in ["{producer,worker,scaler,shared}/**", "infra/docker/**", "package*.json"] :
    fileset(local.source_folder, pattern)
  ]
  source_hash = sha256(join("", [for file in sort(flatten([for set in local.source_files : tolist(set)])) : filesha256("${local.source_folder}/${file}")]))

  image_tag = coalesce(var.image_tag, substr(local.source_hash, 0, 12))
  images = {
    for room in ["producer", "worker", "scaler"] :
    room => "${azurerm_container_registry.fleet.login_server}/framefleet/${room}:${local.image_tag}"
  }
}

# The Basic tier has no network rules. Every access requires a role.
resource "azurerm_container_registry" "fleet" {
  name                   = "${var.name}${local.suffix}"
  resource_group_name    = azurerm_resource_group.fleet.name
  location               = local.location
  sku                    = "Basic"
  admin_enabled          = false
  anonymous_pull_enabled = false
  tags                   = local.tags
}

resource "terraform_data" "image" {
  for_each         = var.build_images ? local.images : {}
  triggers_replace = [each.value]

  provisioner "local-exec" {
    working_dir = local.source_folder
    command     = "az acr build --only-show-errors --registry \"$REGISTRY\" --image \"$IMAGE\" --file \"infra/docker/$ROOM.Dockerfile\" ."
    environment = {
      REGISTRY = azurerm_container_registry.fleet.name
      IMAGE    = "framefleet/${each.key}:${local.image_tag}"
      ROOM     = each.key
    }
  }
}
