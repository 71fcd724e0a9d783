# Who does what, with the least roles: see the table in ../README.md.

resource "google_service_account" "builder" {
  account_id = "builder"
}

resource "google_service_account" "worker" {
  account_id = "worker"
}

resource "google_service_account" "launcher" {
  account_id = "launcher"
}

locals {
  members = {
    builder  = google_service_account.builder.member
    worker   = google_service_account.worker.member
    launcher = google_service_account.launcher.member
    you      = var.you
  }

  on_project = {
    builder  = ["roles/logging.logWriter"]
    worker   = ["roles/dataflow.worker"]
    launcher = ["roles/dataflow.developer"]
    you      = ["roles/cloudbuild.builds.editor", "roles/cloudscheduler.admin", "roles/dataflow.developer"]
  }

  on_repository = {
    builder = ["roles/artifactregistry.writer"]
    worker  = ["roles/artifactregistry.reader"]
  }

  on_bucket = {
    builder  = ["roles/storage.objectViewer"]
    worker   = ["roles/storage.objectAdmin", "roles/storage.bucketViewer"]
    launcher = ["roles/storage.objectViewer"]
    you      = ["roles/storage.objectAdmin"]
  }

  # Whom each account may be used by.
  users = {
    builder  = ["you"]
    worker   = ["launcher", "you"]
    launcher = ["you"]
  }

  # By place, an entry for each pair of the above.
  granted = { for place, accounts in {
    project    = local.on_project
    repository = local.on_repository
    bucket     = local.on_bucket
    account    = local.users
  } : place => { for pair in flatten([for who, whats in accounts : [for what in whats : { who = who, what = what }]]) :
  "${pair.who} ${pair.what}" => pair } }
}

resource "google_project_iam_member" "granted" {
  for_each = local.granted.project
  project  = var.project
  member   = local.members[each.value.who]
  role     = each.value.what
}

resource "google_artifact_registry_repository_iam_member" "granted" {
  for_each   = local.granted.repository
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  member     = local.members[each.value.who]
  role       = each.value.what
}

resource "google_storage_bucket_iam_member" "granted" {
  for_each = local.granted.bucket
  bucket   = google_storage_bucket.embeddings.name
  member   = local.members[each.value.who]
  role     = each.value.what
}

resource "google_storage_bucket_iam_member" "reads_images" {
  for_each = toset(var.image_buckets)
  bucket   = each.value
  member   = google_service_account.worker.member
  role     = "roles/storage.objectViewer"
}

resource "google_service_account_iam_member" "used_by" {
  for_each           = local.granted.account
  service_account_id = "projects/${var.project}/serviceAccounts/${each.value.who}@${var.project}.iam.gserviceaccount.com"
  member             = local.members[each.value.what]
  role               = "roles/iam.serviceAccountUser"
  depends_on         = [google_service_account.builder, google_service_account.worker, google_service_account.launcher]
}
