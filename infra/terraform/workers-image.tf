# Outputs that bake/bake-image.sh needs to build a machine image. No output is secret.

output "location" {
  description = "Azure region of all resources."
  value       = local.location
}

output "bake_boot" {
  description = "cloud-init data of the instance from which an image is made. It downloads the worker's container image and does not start a worker."
  value       = "#cloud-config\n${yamlencode({ write_files = [local.image_file] })}"
}

output "worker_image" {
  description = "Container image of the worker."
  value       = local.images["worker"]
}

output "worker_machine_image" {
  description = "Azure image on which a machine image of your own is based."
  value       = join(":", [for part in ["publisher", "offer", "sku", "version"] : var.worker_machine_image[part]])
}

output "worker_size" {
  description = "VM size of the instances, without the fallback sizes."
  value       = var.gpu_vm_size
}

output "worker_subnet" {
  description = "Resource ID of the subnet of the instances."
  value       = azurerm_subnet.workers.id
}

output "worker_identity" {
  description = "Resource ID of the managed identity of the instances."
  value       = azurerm_user_assigned_identity.room["worker"].id
}

output "worker_image_replicas" {
  description = "Number of replicas of an image in its gallery. Azure recommends one per 20 instances that start at the same time."
  value       = ceil(var.capacity_max / 20)
}
