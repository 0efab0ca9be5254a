"""Schedules, for scripts: what `sender schedule` does."""

from sender.api.acting import acts_as
from sender.campaigns import schedule_desk, schedule_listing, scheduling

add_schedule = acts_as("schedule add")(schedule_desk.add_schedule)
list_schedules = acts_as("schedule list")(schedule_listing.list_schedules)
look_over = acts_as("schedule add")(schedule_desk.look_over)
pause_schedule = acts_as("schedule pause")(schedule_desk.pause_schedule)
remove_schedule = acts_as("schedule remove")(schedule_desk.remove_schedule)
resume_schedule = acts_as("schedule resume")(schedule_desk.resume_schedule)
tick = acts_as("schedule tick")(scheduling.tick)
