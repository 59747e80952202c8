# What this ground is made with. Ephemeral values and write-only arguments, which keep secrets out of the state, need
# Terraform 1.11.

terraform {
  required_version = ">= 1.11.0"

  required_providers {
    azapi = {
      source  = "Azure/azapi"
      version = "~> 2.8"
    }
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.55"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.7"
    }
    time = {
      source  = "hashicorp/time"
      version = "~> 0.13"
    }
  }
}

provider "azurerm" {
  subscription_id = var.subscription_id

  # Both accounts refuse keys.
  storage_use_azuread = true

  # Only what is used here, and said so that provider 5 does the same.
  resource_provider_registrations = "none"
  resource_providers_to_register = [
    "Microsoft.App",
    "Microsoft.Cache",
    "Microsoft.Compute",
    "Microsoft.Consumption",
    "Microsoft.ContainerRegistry",
    "Microsoft.EventGrid",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
    # As Azure itself writes it: another spelling is silently passed over.
    "microsoft.insights",
  ]

  features {
    # The default would reimage every machine at work, one after the other, when a scale set's model changes.
    virtual_machine_scale_set {
      roll_instances_when_required = false
      reimage_on_manual_upgrade    = false
    }

    # Nothing of an account is asked of the account itself: whoever applies this may make it, not read what is in it.
    storage {
      data_plane_available = false
    }

    # Destroy leaves nothing, not even in a bin.
    key_vault {
      purge_soft_delete_on_destroy    = true
      recover_soft_deleted_key_vaults = false
    }
    # What a template has made goes with its vault.
    template_deployment {
      delete_nested_items_during_deletion = false
    }
    log_analytics_workspace {
      permanently_delete_on_destroy = true
    }
  }
}

provider "azapi" {
  subscription_id = var.subscription_id
}
