# What the scaler may do with machines: change the capacity of these scale sets, look at them, and delete instances by name.
# Whoever may write a scale set must also be allowed to join its subnet, give it its identity and read its image.

resource "azurerm_role_definition" "scale" {
  name        = "${var.name} ${local.suffix}: scale"
  description = "Change the capacity of a scale set, look at its instances, delete them by name."
  scope       = azurerm_resource_group.fleet.id

  permissions {
    actions = [
      "Microsoft.Compute/virtualMachineScaleSets/read",
      "Microsoft.Compute/virtualMachineScaleSets/write",
      "Microsoft.Compute/virtualMachineScaleSets/delete/action",
      "Microsoft.Compute/virtualMachineScaleSets/instanceView/read",
      "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read",
      "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/instanceView/read",
    ]
  }
}

resource "azurerm_role_definition" "make_machines" {
  name        = "${var.name} ${local.suffix}: make machines"
  description = "Join the workers' subnet and give a machine the workers' identity."
  scope       = azurerm_resource_group.fleet.id

  permissions {
    actions = [
      "Microsoft.Network/virtualNetworks/subnets/join/action",
      "Microsoft.ManagedIdentity/userAssignedIdentities/read",
      "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
    ]
  }
}

resource "azurerm_role_assignment" "scale" {
  for_each           = azurerm_linux_virtual_machine_scale_set.workers
  scope              = each.value.id
  principal_id       = local.principals["scaler"].id
  principal_type     = "ServicePrincipal"
  role_definition_id = azurerm_role_definition.scale.role_definition_resource_id
}

resource "azurerm_role_assignment" "make_machines" {
  for_each = {
    subnet   = azurerm_subnet.workers.id
    identity = azurerm_user_assigned_identity.room["worker"].id
  }
  scope              = each.value
  principal_id       = local.principals["scaler"].id
  principal_type     = "ServicePrincipal"
  role_definition_id = azurerm_role_definition.make_machines.role_definition_resource_id
}

resource "azurerm_role_assignment" "read_image" {
  count                = var.worker_image_id == null ? 0 : 1
  scope                = var.worker_image_id
  principal_id         = local.principals["scaler"].id
  principal_type       = "ServicePrincipal"
  role_definition_name = "Reader"
}
