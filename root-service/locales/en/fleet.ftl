# Summary.
fleet = Licensing servers
all-nodes = in all
state-current = current
state-month = a month left
state-week = a week left
state-expired = expired
state-revoked = revoked
state-decommissioned = decommissioned
own-certificate = This authority:
no-authority = This authority has no certificate yet.
valid-until = Valid until

# What everybody must see.
authority-off-NOT_ENROLLED = This root has no certificate of its own yet: it enrols and renews nobody.
authority-off-NOT_ENROLLED-next = Bring its request to the upstream: root-service authority export-request, or authority upstream.
authority-off-CERTIFICATE_REVOKED = The certificate of this root was revoked by its upstream: it enrols and renews nobody.
authority-off-CERTIFICATE_REVOKED-next = Ask the upstream for a new token, then run root-service authority upstream.
authority-off-AUTHORITY_EXPIRED = The certificate of this root expired on { $not_after }: it enrols and renews nobody.
authority-off-AUTHORITY_EXPIRED-next = Run root-service authority renew.
authority-off-CERTIFICATE_NOT_YET_VALID = The clock of this machine is before the certificate of this root: it enrols and renews nobody.
authority-off-CERTIFICATE_NOT_YET_VALID-next = Set the clock.
authority-month = The certificate of this root expires on { $not_after }, in a month or less.
authority-month-next = Run root-service authority renew in time.
authority-week = The certificate of this root expires on { $not_after }, in a week or less.
authority-week-next = Run root-service authority renew now.

# By time to expiry.
by-expiry = Licensing servers by time to expiry
bucket-expired = expired
bucket-1w = < 1 week
bucket-1m = < 1 month
bucket-3m = < 3 mo.
bucket-6m = < 6 mo.
bucket-12m = < 12 mo.
bucket-longer = longer
bucket-expired-title = expired
bucket-1w-title = less than a week left
bucket-1m-title = a week to a month left
bucket-3m-title = one to three months left
bucket-6m-title = three to six months left
bucket-12m-title = six to twelve months left
bucket-longer-title = twelve months or more left
bucket-title = { $label }: { $count }

# Renewal.
renewals = Renewal
renewal = Renewal
none-overdue = all have renewed in time
some-overdue = { $count ->
    [one] { $shown } should have renewed by now
   *[other] { $shown } should have renewed by now
}
overdue = overdue
due = due now
not-due = in time
renewed-day = renewed in 24 hours
renewed-week = renewed in 7 days
refused-renewals = refused since the start of the service
renewal-window = Should renew

# The table.
nodes-by-expiry = By expiry
show-all = Show all
search-nodes = Name, owner or serial number
no-nodes = This root has enrolled no licensing server yet.
nothing-found = No licensing server is like this.
nodes-read = The licensing servers are being read: { $count } so far.
nodes-failed = The licensing servers cannot be read: see the log of the service. It is tried again.
node = Name
owner = Owner
serial = Serial number
time-to-expiry = Time left
last-issued = Last renewal
kind = Kind
kind-server = licensing server
kind-root = root
pager-back = Page before
pager-newest = Newest
pager-older = Older
time-left = { $span }
time-over = { $span } ago
span-seconds = { $count ->
    [one] { $shown } second
   *[other] { $shown } seconds
}
span-minutes = { $count ->
    [one] { $shown } minute
   *[other] { $shown } minutes
}
span-hours = { $count ->
    [one] { $shown } hour
   *[other] { $shown } hours
}
span-days = { $count ->
    [one] { $shown } day
   *[other] { $shown } days
}

# Details.
details = Details
close-details = Close the details
enrolled = Enrolled
addresses = Addresses
certificates = Certificates
standing = Standing
certificate-current = current
certificate-superseded = superseded
certificate-expired = expired
certificate-revoked = revoked

# Events.
recent-events = What happened
events-of-node = What happened to it
events-all = Show all
events-warnings = Warnings and errors only
no-events = Nothing has happened.
none-among-newest = None of the newest events is like this; older ones may be.
no-recent-events = Nothing among the latest events.
severity-info = information
severity-warning = warning
severity-error = error
happened-at = Happened
caused-by = Caused by
by-service = the service
ended = Ended
still-active = still active
event-number = Event
