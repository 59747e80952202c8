# Terraform and provider versions. Ephemeral values and write-only arguments, which keep secrets out of the state, require
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

  # Both storage accounts reject keys.
  storage_use_azuread = true

  # Registers only the resource providers used here. The explicit list behaves the same in azurerm 5.
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
    # Azure's own spelling. The provider silently ignores any other.
    "microsoft.insights",
  ]

  features {
    # By default, a change of a scale set would reimage all its running instances one after the other.
    virtual_machine_scale_set {
      roll_instances_when_required = false
      reimage_on_manual_upgrade    = false
    }

    # No data-plane calls: the identity that runs Terraform can create the storage accounts but not read their contents.
    storage {
      data_plane_available = false
    }

    # destroy purges the soft-deleted vault, too.
    key_vault {
      purge_soft_delete_on_destroy    = true
      recover_soft_deleted_key_vaults = false
    }
    # The resources of the template are deleted with the vault.
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
