output "build_account" {
  value       = google_service_account.builder.email
  description = "For `python -m templates.deploy --build_account`."
}

output "service_account" {
  value       = google_service_account.launcher.email
  description = "For `python -m templates.schedule --service_account`."
}

output "worker_account" {
  value       = google_service_account.worker.email
  description = "For `python -m templates.schedule --worker_account`."
}
