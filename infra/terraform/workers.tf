# The instances: one scale set per kind and size, created without instances. The scaler controls the capacity. A changed scale set model
# (image, settings) applies to new instances only; running instances finish unchanged.

locals {
  sizes = concat([var.gpu_vm_size], var.fallback_gpu_vm_sizes)

  # In the order in which the scaler fills them: with the default kinds, all sizes as spot before any on demand.
  pools = flatten([
    for kind in var.kinds : [
      for index, size in local.sizes : {
        name = "gpu${kind == "spot" ? "-spot" : ""}${index == 0 ? "" : "-${index + 1}"}"
        kind = kind
        size = size
      }
    ]
  ])

  gpus_per_machine = lookup(local.gpus_of_size, var.gpu_vm_size, 1)
  os_user          = "framefleet"
}

resource "azurerm_linux_virtual_machine_scale_set" "workers" {
  for_each            = { for pool in local.pools : pool.name => pool }
  name                = each.key
  resource_group_name = azurerm_resource_group.fleet.name
  location            = local.location
  tags                = merge(local.tags, { kind = each.value.kind })

  sku                    = each.value.size
  instances              = 0
  overprovision          = false
  single_placement_group = false
  # 1 means maximum spreading, which supports GPU sizes.
  platform_fault_domain_count = 1
  zones                       = length(var.zones) == 0 ? null : var.zones
  upgrade_mode                = "Manual"

  priority        = each.value.kind == "spot" ? "Spot" : "Regular"
  eviction_policy = each.value.kind == "spot" ? "Delete" : null
  max_bid_price   = each.value.kind == "spot" ? -1 : null

  computer_name_prefix            = "worker"
  admin_username                  = local.os_user
  disable_password_authentication = true
  custom_data                     = base64encode(local.worker_cloud_init)
  extension_operations_enabled    = false
  source_image_id                 = var.worker_image_id

  admin_ssh_key {
    username   = local.os_user
    public_key = var.ssh_public_key
  }

  dynamic "source_image_reference" {
    for_each = var.worker_image_id == null ? [var.worker_machine_image] : []
    content {
      publisher = source_image_reference.value.publisher
      offer     = source_image_reference.value.offer
      sku       = source_image_reference.value.sku
      version   = source_image_reference.value.version
    }
  }

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.room["worker"].id]
  }

  os_disk {
    caching              = var.ephemeral_os_disk ? "ReadOnly" : "ReadWrite"
    storage_account_type = "Standard_LRS"

    dynamic "diff_disk_settings" {
      for_each = var.ephemeral_os_disk ? ["ResourceDisk"] : []
      content {
        option    = "Local"
        placement = diff_disk_settings.value
      }
    }
  }

  network_interface {
    name                          = "only"
    primary                       = true
    enable_accelerated_networking = !can(regex(local.retired_v3, each.value.size))

    # Without a public IP address.
    ip_configuration {
      name      = "only"
      primary   = true
      subnet_id = azurerm_subnet.workers.id
    }
  }

  # Notifies an on-demand instance before its deletion. Azure does not offer this for spot.
  dynamic "termination_notification" {
    for_each = each.value.kind == "spot" ? [] : ["PT5M"]
    content {
      enabled = true
      timeout = termination_notification.value
    }
  }

  lifecycle {
    ignore_changes = [instances]
  }

  # A new instance needs its image, its outbound access and its roles.
  depends_on = [
    azurerm_subnet_nat_gateway_association.fleet,
    azurerm_subnet_network_security_group_association.workers,
    terraform_data.image,
    time_sleep.roles_known,
  ]
}
