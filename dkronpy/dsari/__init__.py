"""dsari's configuration directory as a source of jobs: reading it, what it means here, keeping the jobs as it says."""
