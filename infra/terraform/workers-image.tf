# What bake/bake-image.sh has to know to make a machine image of the fleet's own. Nothing here is secret.

output "location" {
  description = "The region of everything."
  value       = local.location
}

output "bake_boot" {
  description = "What the machine that an image is made of is told when it starts: how to fetch the worker's image. It runs no worker, which would take frames."
  value       = "#cloud-config\n${yamlencode({ write_files = [local.image_file] })}"
}

output "worker_image" {
  description = "The worker's container image."
  value       = local.images["worker"]
}

output "worker_machine_image" {
  description = "Azure's image, which the fleet's own is made of."
  value       = join(":", [for part in ["publisher", "offer", "sku", "version"] : var.worker_machine_image[part]])
}

output "worker_size" {
  description = "The machines' size; with fallbacks, the first."
  value       = var.gpu_vm_size
}

output "worker_subnet" {
  description = "Where machines are, by resource id."
  value       = azurerm_subnet.workers.id
}

output "worker_identity" {
  description = "Who machines are, by resource id."
  value       = azurerm_user_assigned_identity.room["worker"].id
}

output "worker_image_replicas" {
  description = "Copies of an image in its gallery: Azure advises one for each 20 machines that start at a time."
  value       = ceil(var.capacity_max / 20)
}
