"""All doors of this floor, which whoever starts the service hands to it (see `service.app.create_app`)."""

from evals import record_doors, vote_doors

DOORS = (*record_doors.DOORS, *vote_doors.DOORS)
