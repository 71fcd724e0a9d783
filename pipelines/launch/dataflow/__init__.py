"""Google Dataflow: from flags to a job, what it needs and costs, and following it to its end."""
