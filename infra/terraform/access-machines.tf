# Access of the scaler to instances: change the capacity of these scale sets, read them, and delete instances by name. Writing a scale
# set also requires permission to join its subnet, to assign its identity and to read its image.

resource "azurerm_role_definition" "scale" {
  name        = "${var.name} ${local.suffix}: scale"
  description = "Change the capacity of a scale set, read its instances and delete them by name."
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
  description = "Join the workers' subnet and assign the workers' identity."
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
