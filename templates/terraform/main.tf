# What the manual's section "Once: the project" makes by hand, with the same roles; then the schedule, and who is told if a
# night goes wrong. What is built and what is launched are not said here: `python -m templates.deploy` builds and registers
# the template, and `python -m templates.schedule ... --dry_run > nightly.json` checks and writes the night's request.

terraform {
  required_version = ">= 1.5"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.0"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

resource "google_project_service" "used" {
  for_each = toset([
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "compute.googleapis.com",
    "dataflow.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "storage.googleapis.com",
  ])
  service            = each.value
  disable_on_destroy = false
}

resource "google_storage_bucket" "embeddings" {
  name                        = var.bucket
  location                    = var.region
  uniform_bucket_level_access = true

  # Nights replace files; kept for a week more, they would cost as much again.
  soft_delete_policy {
    retention_duration_seconds = 0
  }
}

resource "google_artifact_registry_repository" "images" {
  repository_id = var.repository
  format        = "DOCKER"
  location      = var.region
  depends_on    = [google_project_service.used]
}
