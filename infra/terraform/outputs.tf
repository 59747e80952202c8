# The next commands, and the settings that the npm commands need. No output is secret.

locals {
  scaler_url = "https://${azurerm_container_app.scaler.ingress[0].fqdn}"
  publish    = "az storage blob upload --auth-mode login --account-name ${azurerm_storage_account.system.name} --container-name models"

  scale_remotely = ["export FRAMEFLEET_SCALER_TOKEN=$(${local.token_command})", "npm run scale"]
  scale_inside   = ["az containerapp exec --resource-group ${azurerm_resource_group.fleet.name} --name ${azurerm_container_app.scaler.name} --command 'node scaler/cli/scale.ts'"]

  token_command = "az keyvault secret show --vault-name ${azurerm_key_vault.fleet.name} --name ${azurerm_key_vault_secret.scaler_token.name} --query value --output tsv"
}

output "env" {
  description = "Settings for the npm commands. Write them to .env: `terraform -chdir=infra/terraform output -raw env > .env`."
  value = join("", [
    "# Written by Terraform: the location of the fleet. Authenticate with `az login`.\n",
    "FRAMEFLEET_MEDIA_STORAGE=${azurerm_storage_account.media.name}\n",
    "FRAMEFLEET_SYSTEM_STORAGE=${azurerm_storage_account.system.name}\n",
    "# For npm run doctor:\n",
    "FRAMEFLEET_SUBSCRIPTION_ID=${var.subscription_id}\n",
    "FRAMEFLEET_RESOURCE_GROUP=${azurerm_resource_group.fleet.name}\n",
    "FRAMEFLEET_SCALE_SETS=${local.scale_sets}\n",
    "FRAMEFLEET_CAPACITY_MAX=${var.capacity_max}\n",
    var.scaler_endpoint_public ? "FRAMEFLEET_SCALER_URL=${local.scaler_url}\n" : "",
  ])
}

output "next" {
  description = "The commands to run after terraform apply."
  value = join("\n", concat(
    [
      "terraform -chdir=infra/terraform output -raw env > .env",
      "npm run doctor",
      "${local.publish} --name painter/3/model.onnx --file worker/models/painter/painter.onnx",
      "${local.publish} --name painter/3/model-float16.onnx --file worker/models/painter/painter-float16.onnx",
      "${local.publish} --name painter/3/model.json --file worker/models/painter/model.json",
      "npm run enqueue infra/sample/harbour.mp4",
    ],
    var.scaler_endpoint_public ? local.scale_remotely : local.scale_inside,
    var.page_enabled ? ["open https://${local.page_host}/"] : [],
  ))
}

output "token_command" {
  description = "Command that prints the scaler's token. Requires access to the key vault."
  value       = local.token_command
}

output "resource_group" {
  description = "Resource group of the fleet. Azure creates a second one for the infrastructure of the apps."
  value       = azurerm_resource_group.fleet.name
}

output "registry" {
  description = "Login server of the container registry."
  value       = azurerm_container_registry.fleet.login_server
}

output "scale_sets" {
  description = "Scale sets in the order in which the scaler fills them."
  value       = [for pool in local.pools : pool.name]
}
