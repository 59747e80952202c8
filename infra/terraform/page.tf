# The web page, off by default. The producer serves it on a port of its own, and its ingress then leads to that port only: the metrics and the
# health of the producer have no address outside the container.
#
# Container Apps signs people in with Entra before a request reaches the producer, and tells it who they are. Only operators may sign in,
# from operator_addresses. The app registration is made beforehand, because that needs other rights than these resources: see README.md.

locals {
  page_port = 8081
  page_host = "producer.${azurerm_container_app_environment.fleet.default_domain}"

  # What producer/config.ts reads for the page.
  page_env = {
    FRAMEFLEET_PAGE       = var.page_enabled ? "entra" : null
    FRAMEFLEET_PAGE_HOST  = var.page_enabled ? "0.0.0.0" : null
    FRAMEFLEET_PAGE_PORT  = var.page_enabled ? local.page_port : null
    FRAMEFLEET_PAGE_HOSTS = var.page_enabled ? local.page_host : null
    FRAMEFLEET_SCALER_URL = var.page_enabled ? "https://${azurerm_container_app.scaler.ingress[0].fqdn}" : null
  }
  page_secrets = var.page_enabled ? {
    FRAMEFLEET_SCALER_TOKEN = { name = "scaler-token", id = azurerm_key_vault_secret.scaler_token.versionless_id }
  } : {}
}

resource "azapi_resource" "page_sign_in" {
  count                     = var.page_enabled ? 1 : 0
  type                      = "Microsoft.App/containerApps/authConfigs@2024-03-01"
  name                      = "current"
  parent_id                 = azurerm_container_app.producer.id
  schema_validation_enabled = false
  response_export_values    = []

  body = {
    properties = {
      platform = { enabled = true }
      globalValidation = {
        unauthenticatedClientAction = "RedirectToLoginPage"
        redirectToProvider          = "azureactivedirectory"
      }
      httpSettings = { requireHttps = true }
      identityProviders = {
        azureActiveDirectory = {
          enabled = true
          registration = {
            clientId     = var.page_client_id
            openIdIssuer = "https://login.microsoftonline.com/${data.azurerm_client_config.current.tenant_id}/v2.0"
          }
          validation = {
            allowedAudiences = [var.page_client_id]
            defaultAuthorizationPolicy = {
              allowedPrincipals = { identities = local.operators, groups = local.operators }
            }
          }
        }
      }
    }
  }
}
