"""What an operator deploys: a Dataflow Flex template, and the schedule that launches it; README.md is the manual."""
