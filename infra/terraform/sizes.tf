# The NC sizes: number of GPUs, prices, and retired sizes.

locals {
  gpus_of_size = {
    Standard_NC4as_T4_v3      = 1
    Standard_NC8as_T4_v3      = 1
    Standard_NC16as_T4_v3     = 1
    Standard_NC64as_T4_v3     = 4
    Standard_NC24ads_A100_v4  = 1
    Standard_NC48ads_A100_v4  = 2
    Standard_NC96ads_A100_v4  = 4
    Standard_NC40ads_H100_v5  = 1
    Standard_NC80adis_H100_v5 = 2
    Standard_NC6s_v3          = 1
    Standard_NC12s_v3         = 2
    Standard_NC24s_v3         = 4
    Standard_NC24rs_v3        = 4
  }

  # US dollars per hour in eastus. Source: the retail price list of 2024 and 2025; spot prices of A100 and H100 from April 2026. Spot
  # prices change; override them with `prices`. A size without a price here counts as about as expensive as the most expensive one.
  price_of_size = {
    Standard_NC4as_T4_v3     = { on-demand = 0.526, spot = 0.063 }
    Standard_NC8as_T4_v3     = { on-demand = 0.752, spot = 0.090 }
    Standard_NC16as_T4_v3    = { on-demand = 1.204, spot = 0.144 }
    Standard_NC64as_T4_v3    = { on-demand = 4.352, spot = 0.519 }
    Standard_NC24ads_A100_v4 = { on-demand = 3.673, spot = 1.10 }
    Standard_NC48ads_A100_v4 = { on-demand = 7.346, spot = 2.20 }
    Standard_NC40ads_H100_v5 = { on-demand = 6.98, spot = 2.09 }
    Standard_NC6s_v3         = { on-demand = 3.06, spot = 0.398 }
  }
  price_unknown = { on-demand = 14, spot = 5 }

  retired_everywhere = "^Standard_NC(6|12|24|24r)((s_v2)|(_Promo))?$"
  retired_v3         = "^Standard_NC(6|12|24|24r)s_v3$"
  regions_with_v3    = ["jioindiawest", "chinanorth3"]
  v3_ends_at         = "2027-07-01T00:00:00Z"
  successors         = "Successors: Standard_NC40ads_H100_v5 (recommended by Azure), Standard_NC24ads_A100_v4, or the cheaper Standard_NC4as_T4_v3."
}
