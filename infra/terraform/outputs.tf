# What to type next, and what the commands at a desk have to know. Nothing here is secret.

locals {
  scaler_url = "https://${azurerm_container_app.scaler.ingress[0].fqdn}"
  publish    = "az storage blob upload --auth-mode login --account-name ${azurerm_storage_account.system.name} --container-name models"

  scale_at_a_desk = ["export FRAMEFLEET_SCALER_TOKEN=$(${local.token_command})", "npm run scale"]
  scale_inside    = ["az containerapp exec --resource-group ${azurerm_resource_group.fleet.name} --name ${azurerm_container_app.scaler.name} --command 'node scaler/cli/scale.ts'"]

  token_command = "az keyvault secret show --vault-name ${azurerm_key_vault.fleet.name} --name ${azurerm_key_vault_secret.scaler_token.name} --query value --output tsv"
}

output "env" {
  description = "For the commands at a desk: `terraform -chdir=infra/terraform output -raw env > .env`."
  value = join("", [
    "# Made by terraform: where the fleet is. Who you are, `az login` says.\n",
    "FRAMEFLEET_MEDIA_STORAGE=${azurerm_storage_account.media.name}\n",
    "FRAMEFLEET_SYSTEM_STORAGE=${azurerm_storage_account.system.name}\n",
    "# For npm run doctor.\n",
    "FRAMEFLEET_SUBSCRIPTION_ID=${var.subscription_id}\n",
    "FRAMEFLEET_RESOURCE_GROUP=${azurerm_resource_group.fleet.name}\n",
    "FRAMEFLEET_SCALE_SETS=${local.scale_sets}\n",
    "FRAMEFLEET_CAPACITY_MAX=${var.capacity_max}\n",
    var.scaler_endpoint_public ? "FRAMEFLEET_SCALER_URL=${local.scaler_url}\n" : "",
  ])
}

output "next" {
  description = "The commands that come after this one."
  value = join("\n", concat(
    [
      "terraform -chdir=infra/terraform output -raw env > .env",
      "npm run doctor",
      "${local.publish} --name painter/1/model.onnx --file worker/models/painter/painter.onnx",
      "${local.publish} --name painter/1/model.json --file worker/models/painter/model.json",
      "npm run enqueue infra/sample/harbour.mp4",
    ],
    var.scaler_endpoint_public ? local.scale_at_a_desk : local.scale_inside,
  ))
}

output "token_command" {
  description = "Prints the scaler's token, to those who may read it."
  value       = local.token_command
}

output "resource_group" {
  description = "Everything is in it; Azure keeps the apps' own parts in a second one beside it."
  value       = azurerm_resource_group.fleet.name
}

output "registry" {
  description = "Where the images are."
  value       = azurerm_container_registry.fleet.login_server
}

output "scale_sets" {
  description = "In the order in which they are filled."
  value       = [for pool in local.pools : pool.name]
}
