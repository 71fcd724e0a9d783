#!/bin/sh
# Try all of it on Google Cloud, with generated images: 20 on processors, 20 on an L4, an update by one more.
#
#     PROJECT=my-project REGION=europe-west4 BUCKET=my-bucket sh templates/e2e.sh
#
# In a checkout with `pip install '.[deploy]'`, after "Once: the project" of templates/README.md. It takes about an hour,
# most of it for the images' build, and costs about two dollars. GPU= leaves out the GPU. What it writes into the bucket
# goes at the end, but if something is not as it should be; the template and its images stay. It should print, at last:
#
#     processors: 20 embedded, 0 skipped, 0 failed on CPU
#     nvidia-l4: 20 embedded, 0 skipped, 0 failed on GPU
#     update: 1 embedded, 20 skipped, 0 failed on CPU
#     all is as it should be
set -eu
: "${PROJECT:?the project}" "${REGION:?the region}" "${BUCKET:?the bucket}" "${GPU=nvidia-l4}"
worker=${WORKER:-worker@$PROJECT.iam.gserviceaccount.com}
builder=${BUILDER:-builder@$PROJECT.iam.gserviceaccount.com}
name=embed-images-e2e-$(date -u +%Y%m%dt%H%M%S)
there=gs://$BUCKET/$name
here=$(mktemp -d)
trap 'rm -rf "$here"' EXIT

# Launch the template: name of the job, parameters.
launch() {
    gcloud dataflow flex-template run "$name-$1" --project="$PROJECT" --region="$REGION" \
        --template-file-gcs-location="gs://$BUCKET/templates/embed_images.json" \
        --service-account-email="$worker" --launcher-machine-type=n1-standard-2 --max-workers=1 \
        --temp-location="gs://$BUCKET/tmp" --staging-location="gs://$BUCKET/tmp" \
        --parameters="input=$there/photos,backbone=MobileNetV2,weights=random,$2" --format='value(job.id)'
}

# Wait for a job's end: its id.
finish() {
    while :; do
        state=$(gcloud dataflow jobs describe "$1" --project="$PROJECT" --region="$REGION" --format='value(currentState)')
        case $state in
        JOB_STATE_DONE) return ;;
        JOB_STATE_FAILED | JOB_STATE_CANCELLED | JOB_STATE_DRAINED)
            echo "$1 ended as $state; see https://console.cloud.google.com/dataflow/jobs/$REGION/$1?project=$PROJECT" >&2
            exit 1
            ;;
        esac
        sleep "${POLL:-20}"
    done
}

# Say what a collection's manifest counts, and compare it: what was done, folder, the line that is expected.
check() {
    found=$(gcloud storage cat "$there/$2/manifest.json" | python -c '
import json, sys

manifest = json.load(sys.stdin)
devices = "+".join(sorted({worker["device"] for worker in manifest["workers"]}))
print("{embedded} embedded, {skipped} skipped, {failed} failed on".format(**manifest["counts"]), devices)
')
    echo "$1: $found"
    if [ "$found" != "$3" ]; then
        echo "it should be: $3; look at $there" >&2
        exit 1
    fi
}

python -m pipelines.sample_images "$here/photos" 20
gcloud storage cp --recursive "$here/photos" "$there/"
python -m templates.deploy --project "$PROJECT" --region "$REGION" --bucket "$BUCKET" --build_account "$builder"

finish "$(launch processors "output=$there/processors")"
check processors processors "20 embedded, 0 skipped, 0 failed on CPU"
if [ -n "$GPU" ]; then
    finish "$(launch gpu "output=$there/gpu,gpu=$GPU")"
    check "$GPU" gpu "20 embedded, 0 skipped, 0 failed on GPU"
fi
python -m pipelines.sample_images "$here/photos" 21
gcloud storage cp "$here/photos/000020.jpg" "$there/photos/"
finish "$(launch update "output=$there/processors,existing=update")"
check update processors "1 embedded, 20 skipped, 0 failed on CPU"

gcloud storage rm --recursive "$there"
echo "all is as it should be"
