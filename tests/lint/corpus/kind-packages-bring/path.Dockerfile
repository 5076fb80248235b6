FROM ubuntu:24.04
RUN apt-get update && apt-get install -y libgomp1
CMD ["/opt/venv/bin/python3", "-m", "http.server"]
