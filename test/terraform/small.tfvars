# Only the required variables.
subscription_id    = "11111111-2222-3333-4444-555555555555"
operator_addresses = ["203.0.113.7"]
ssh_public_key     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8qV0rYk4p1m2cQ5s6t7u8v9w0xyzABCDEFGHIJKLMN nobody"
