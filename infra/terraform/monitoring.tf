# The logs of the programs, and alerts by email. Without `alert_emails` there are no alerts, no storage logs and no budget.

resource "azurerm_log_analytics_workspace" "fleet" {
  name                         = "${var.name}-${local.suffix}"
  resource_group_name          = azurerm_resource_group.fleet.name
  location                     = local.location
  sku                          = "PerGB2018"
  retention_in_days            = 30
  local_authentication_enabled = false
  # Limits the cost of a program that logs in a loop.
  daily_quota_gb = 1
  tags           = local.tags
}

resource "azurerm_monitor_diagnostic_setting" "apps" {
  name                       = "logs"
  target_resource_id         = azurerm_container_app_environment.fleet.id
  log_analytics_workspace_id = azurerm_log_analytics_workspace.fleet.id

  enabled_log {
    category = "ContainerAppConsoleLogs"
  }
  enabled_log {
    category = "ContainerAppSystemLogs"
  }
}

locals {
  has_alerts = length(var.alert_emails) > 0
  alerts     = local.has_alerts ? local.alert_queries : {}

  # The logs are JSON lines with the message in `msg`.
  console = "ContainerAppConsoleLogs | where ContainerAppName == '%s' | extend line = parse_json(Log)"

  # An alert fires if its query returns any row in the window.
  alert_queries = {
    poison = {
      severity = 2
      minutes  = 15
      summary  = "Frames failed for good, or messages were malformed. List them with `npm run poison -- list`."
      query    = "StorageQueueLogs | where OperationName == 'PutMessage' and StatusText == 'Success' and Uri contains '/frame-batches-poison/'"
    }
    stuck = {
      severity = 2
      minutes  = 15
      summary  = "Batches made no progress and were resent. Check whether workers run and score frames."
      query    = "${format(local.console, "producer")} | where tostring(line.msg) == 'stale batches will be sent again'"
    }
    machines = {
      severity = 2
      minutes  = 15
      summary  = "There is work, but instances do not start, do not report, or would exceed the spending limit. Check with `npm run explain`."
      query    = "${format(local.console, "scaler")} | where tostring(line.msg) == 'decision' and tostring(line.reason) in ('boots-fail', 'fleet-silent', 'fleet-unknown', 'pools-blocked', 'spending-reached', 'workers-unknown')"
    }
    failures = {
      severity = 3
      minutes  = 15
      summary  = "A program exited with an error and was restarted."
      query    = "ContainerAppConsoleLogs | extend line = parse_json(Log) | where tostring(line.msg) == 'service failed'"
    }
  }

  # Platform metrics, which also detect a program that does not log any more.
  silence = {
    gone       = { metric = "Replicas", aggregation = "Maximum", operator = "LessThan", threshold = 1, window = "PT5M" }
    restarting = { metric = "RestartCount", aggregation = "Maximum", operator = "GreaterThan", threshold = 3, window = "PT15M" }
  }
  silences = local.has_alerts ? {
    for pair in setproduct(["producer", "scaler"], keys(local.silence)) :
    "${pair[0]}-${pair[1]}" => merge(local.silence[pair[1]], { app = pair[0] })
  } : {}
  apps = {
    producer = azurerm_container_app.producer.id
    scaler   = azurerm_container_app.scaler.id
  }
}

resource "azurerm_monitor_action_group" "operators" {
  count               = local.has_alerts ? 1 : 0
  name                = "operators"
  resource_group_name = azurerm_resource_group.fleet.name
  short_name          = "operators"
  tags                = local.tags

  dynamic "email_receiver" {
    for_each = var.alert_emails
    content {
      name                    = "operator-${email_receiver.key + 1}"
      email_address           = email_receiver.value
      use_common_alert_schema = true
    }
  }
}

# Logs writes to the queues, which the poison alert needs.
resource "azurerm_monitor_diagnostic_setting" "queues" {
  count                      = local.has_alerts ? 1 : 0
  name                       = "logs"
  target_resource_id         = "${azurerm_storage_account.system.id}/queueServices/default"
  log_analytics_workspace_id = azurerm_log_analytics_workspace.fleet.id

  enabled_log {
    category = "StorageWrite"
  }
}

resource "azurerm_monitor_scheduled_query_rules_alert_v2" "trouble" {
  for_each             = local.alerts
  name                 = each.key
  resource_group_name  = azurerm_resource_group.fleet.name
  location             = local.location
  description          = each.value.summary
  severity             = each.value.severity
  scopes               = [azurerm_log_analytics_workspace.fleet.id]
  evaluation_frequency = "PT${each.value.minutes}M"
  window_duration      = "PT${each.value.minutes}M"
  tags                 = local.tags
  # The tables exist only after the first log line.
  skip_query_validation   = true
  auto_mitigation_enabled = true

  criteria {
    query                   = each.value.query
    time_aggregation_method = "Count"
    operator                = "GreaterThan"
    threshold               = 0
  }
  action {
    action_groups = [azurerm_monitor_action_group.operators[0].id]
  }
}

resource "azurerm_monitor_metric_alert" "silent" {
  for_each            = local.silences
  name                = each.key
  resource_group_name = azurerm_resource_group.fleet.name
  description         = "The ${each.value.app} is not running or restarts repeatedly. Check its log."
  scopes              = [local.apps[each.value.app]]
  severity            = 1
  frequency           = "PT5M"
  window_size         = each.value.window
  tags                = local.tags

  criteria {
    metric_namespace = "Microsoft.App/containerApps"
    metric_name      = each.value.metric
    aggregation      = each.value.aggregation
    operator         = each.value.operator
    threshold        = each.value.threshold
  }
  action {
    action_group_id = azurerm_monitor_action_group.operators[0].id
  }
}

resource "azurerm_consumption_budget_resource_group" "month" {
  count             = local.has_alerts ? 1 : 0
  name              = "month"
  resource_group_id = azurerm_resource_group.fleet.id
  amount            = var.budget_per_month
  time_grain        = "Monthly"

  time_period {
    start_date = formatdate("YYYY-MM-01'T'00:00:00'Z'", plantimestamp())
  }

  dynamic "notification" {
    for_each = [["Actual", 80], ["Actual", 100], ["Forecasted", 100]]
    content {
      threshold_type = notification.value[0]
      threshold      = notification.value[1]
      operator       = "GreaterThan"
      contact_emails = var.alert_emails
    }
  }

  lifecycle {
    ignore_changes = [time_period]
  }
}
