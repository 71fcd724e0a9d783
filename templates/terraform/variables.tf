variable "project" {
  type        = string
  description = "Google Cloud project."
}

variable "region" {
  type        = string
  description = "Region of the jobs and of the bucket."
}

variable "bucket" {
  type        = string
  description = "Bucket for the template, the embeddings and temporary files, without gs://."
}

variable "repository" {
  type        = string
  default     = "embed-images"
  description = "Repository in Artifact Registry."
}

variable "image_buckets" {
  type        = list(string)
  default     = []
  description = "Other buckets with images, which the workers read."
}

variable "you" {
  type        = string
  description = "Who deploys, launches and schedules, e.g. user:you@example.com."
}

variable "nightly" {
  type        = string
  default     = ""
  description = "File that `python -m templates.schedule ... --dry_run` printed; empty for no schedule yet."
}

variable "email" {
  type        = string
  default     = ""
  description = "Who is told of a night that failed or did not come; empty for nobody."
}
