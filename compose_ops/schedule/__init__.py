"""What runs by itself: systemd units or cron lines, and whom a root unit may trust."""
