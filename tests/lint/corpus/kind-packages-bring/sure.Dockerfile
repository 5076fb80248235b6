FROM debian:12
RUN apt-get update && apt-get install -y libpq5
CMD ["bash"]
