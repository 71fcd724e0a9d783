# The schedule, as `templates.schedule` writes it, and alerts for the morning. Left out until there is a template to launch.

locals {
  nightly = var.nightly == "" ? [] : [jsondecode(file(var.nightly)).job]
}

resource "google_cloud_scheduler_job" "nightly" {
  count            = length(local.nightly)
  name             = reverse(split("/", local.nightly[count.index].name))[0]
  region           = var.region
  description      = local.nightly[count.index].description
  schedule         = local.nightly[count.index].schedule
  time_zone        = local.nightly[count.index].timeZone
  attempt_deadline = local.nightly[count.index].attemptDeadline

  retry_config {
    retry_count          = local.nightly[count.index].retryConfig.retryCount
    min_backoff_duration = local.nightly[count.index].retryConfig.minBackoffDuration
  }

  http_target {
    http_method = local.nightly[count.index].httpTarget.httpMethod
    uri         = local.nightly[count.index].httpTarget.uri
    headers     = local.nightly[count.index].httpTarget.headers
    body        = local.nightly[count.index].httpTarget.body

    oauth_token {
      service_account_email = local.nightly[count.index].httpTarget.oauthToken.serviceAccountEmail
      scope                 = local.nightly[count.index].httpTarget.oauthToken.scope
    }
  }

  depends_on = [google_project_service.used, google_project_iam_member.granted]
}

resource "google_monitoring_notification_channel" "email" {
  count        = var.email == "" ? 0 : 1
  display_name = "embed-images"
  type         = "email"
  labels       = { email_address = var.email }
}

resource "google_monitoring_alert_policy" "night" {
  count                 = var.email == "" ? 0 : length(local.nightly)
  display_name          = "embed-images: a night failed, or did not come"
  combiner              = "OR"
  notification_channels = google_monitoring_notification_channel.email[*].id

  # A job that ends well has put its manifest; one that does not, or that lost too many images, has failed.
  conditions {
    display_name = "a job failed"
    condition_threshold {
      filter          = "metric.type=\"dataflow.googleapis.com/job/is_failed\" AND resource.type=\"dataflow_job\" AND resource.label.job_name=\"${google_cloud_scheduler_job.nightly[count.index].name}\""
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"
      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }

  # The longest absence that Cloud Monitoring notices is 23.5 hours.
  conditions {
    display_name = "no job since yesterday, and so no manifest"
    condition_absent {
      filter   = "metric.type=\"dataflow.googleapis.com/job/elapsed_time\" AND resource.type=\"dataflow_job\" AND resource.label.job_name=\"${google_cloud_scheduler_job.nightly[count.index].name}\""
      duration = "84600s"
      aggregations {
        alignment_period   = "300s"
        per_series_aligner = "ALIGN_MAX"
      }
    }
  }
}
