"""Campaign files and what comes of them: definitions, lifecycle, schedules, reports."""
